//! Encoded bytes to RGB pixels, the way PIL's `convert("RGB")` does it, on white ground where a picture is
//! transparent, turned as its EXIF tag says, and with limits before work.

use std::io::{BufRead, Cursor, Seek};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage, RgbaImage};

use crate::Error;
use crate::media::gif_blocks;
use crate::media::limits::{HELP_AGAIN, HELP_SMALLER, MAX_PIXELS, check_size, guarded, limits};
use crate::media::rgb::to_rgb;

const FORMATS: &str = "PNG, JPEG, WebP, GIF, BMP or TIFF";

/// Width and height from the header; refuses what [`rgb`] would refuse by size.
pub(crate) fn dimensions<R: BufRead + Seek>(source: R) -> Result<(u32, u32), Error> {
    guarded(|| {
        let reader = reader(source)?;
        let mut decoder = reader.into_decoder().map_err(|e| corrupt(&e))?;
        let (width, height) = decoder.dimensions();
        check_size((width, height))?;
        Ok(match orientation(&mut decoder) {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => (height, width),
            _ => (width, height),
        })
    })
}

/// The pixels of an encoded image (of an animation: its first frame).
pub(crate) fn rgb(bytes: &[u8]) -> Result<RgbImage, Error> {
    guarded(|| {
        let reader = reader(Cursor::new(bytes))?;
        if reader.format() == Some(ImageFormat::Jpeg) && !jpeg_is_complete(bytes) {
            // The decoder would fill the missing part with gray and say nothing.
            return Err(Error::media("JPEG is truncated").help(HELP_AGAIN));
        }
        let background = match reader.format() {
            Some(ImageFormat::Gif) => gif_blocks::background(bytes),
            _ => None,
        };
        let mut decoder = reader.into_decoder().map_err(|e| corrupt(&e))?;
        check_size(decoder.dimensions())?;
        let original = decoder.original_color_type();
        let turn = orientation(&mut decoder);
        let mut image = DynamicImage::from_decoder(decoder).map_err(|e| corrupt(&e))?;
        if let (Some(colour), DynamicImage::ImageRgba8(image)) = (background, &mut image) {
            fill(image, colour);
        }
        image.apply_orientation(turn);
        Ok(to_rgb(image, original))
    })
}

/// How the picture is to be turned, by its EXIF tag; as it is where the tag cannot be read.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

const HELP_CONVERT: &str = "convert it first, for example with Pillow: \
    python -c \"from PIL import Image; Image.open('a.avif').convert('RGB').save('a.png')\" \
    (HEIC: pip install pillow-heif)";

fn reader<R: BufRead + Seek>(source: R) -> Result<ImageReader<R>, Error> {
    let mut reader = ImageReader::new(source)
        .with_guessed_format()
        .map_err(|e| Error::media(format!("image cannot be read: {e}")))?;
    match reader.format() {
        Some(
            ImageFormat::Png
            | ImageFormat::Jpeg
            | ImageFormat::WebP
            | ImageFormat::Gif
            | ImageFormat::Bmp
            | ImageFormat::Tiff,
        ) => {}
        known => {
            let name = match known {
                Some(format) => Some(format!("{format:?}")),
                None => other_format(reader.into_inner()).map(str::to_owned),
            };
            return Err(match name {
                Some(name) => Error::media("image format is not supported")
                    .found(name)
                    .expected(FORMATS)
                    .help(HELP_CONVERT),
                None => Error::media("not an image").expected(FORMATS),
            });
        }
    }
    reader.limits(limits());
    Ok(reader)
}

fn corrupt(error: &image::ImageError) -> Error {
    if matches!(error, image::ImageError::Limits(_)) {
        return Error::media("image is too large")
            .found(error)
            .expected(format!("at most {MAX_PIXELS} pixels"))
            .help(HELP_SMALLER);
    }
    if matches!(error, image::ImageError::Unsupported(_)) {
        return Error::media("kind of image is not supported")
            .found(error)
            .help(HELP_CONVERT);
    }
    Error::media("image is corrupt or truncated")
        .found(error)
        .help(HELP_AGAIN)
}

/// Makes pixels without any paint opaque ones of a colour.
fn fill(image: &mut RgbaImage, [red, green, blue]: [u8; 3]) {
    for pixel in image.pixels_mut().filter(|pixel| pixel.0[3] == 0) {
        pixel.0 = [red, green, blue, 255];
    }
}

/// The name of a format of pictures that is not read, by the first bytes.
fn other_format<R: BufRead + Seek>(mut source: R) -> Option<&'static str> {
    let mut head = [0; 16];
    source.rewind().ok()?;
    let mut got = 0;
    while got < head.len() {
        match source.read(&mut head[got..]).ok()? {
            0 => break,
            count => got += count,
        }
    }
    let brand = &head[8..12];
    match &head[..] {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => match brand {
            b"avif" | b"avis" => Some("AVIF"),
            b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1" | b"heim" => Some("HEIC"),
            _ => Some("a video (MP4 or MOV)"),
        },
        [0xFF, 0x0A, ..] | [0, 0, 0, 12, b'J', b'X', b'L', ..] => Some("JPEG XL"),
        [0, 0, 0, 12, b'j', b'P', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => Some("JPEG 2000"),
        [b'%', b'P', b'D', b'F', ..] => Some("PDF"),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Some("a video (WebM or Matroska)"),
        _ if head.starts_with(b"<svg") || head.starts_with(b"<?xml") => Some("SVG"),
        _ => None,
    }
}

/// Whether a JPEG's markers lead to its end marker. PIL, too, refuses a file without one.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let mut at = 2; // behind SOI
    while at + 1 < bytes.len() {
        if bytes[at] != 0xFF {
            at += 1; // entropy-coded data
            continue;
        }
        match bytes[at + 1] {
            0xD9 => return true,
            // stuffed zero, restart markers, fill bytes and markers without a body
            0x00 | 0x01 | 0xD0..=0xD8 => at += 2,
            0xFF => at += 1,
            _ => {
                let Some(length) = bytes.get(at + 2..at + 4) else {
                    return false;
                };
                at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
    false
}
