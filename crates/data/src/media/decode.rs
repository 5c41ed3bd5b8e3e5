//! Encoded bytes to RGB pixels, the way PIL's `convert("RGB")` does it, on white ground where a picture is
//! transparent, turned as its EXIF tag says, and with limits before work.

use std::io::{BufRead, Cursor, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, Limits,
    Rgb, RgbImage, RgbaImage,
};

use crate::Error;
use crate::media::encoded::MAX_PIXELS;

/// Decoders may hold this much: 16-bit RGBA at [`MAX_PIXELS`], twice.
const MAX_DECODER_BYTES: u64 = 16 * MAX_PIXELS;

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
            Some(ImageFormat::Gif) => gif_background(bytes),
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

const HELP_SMALLER: &str = "scale the image down; the model sees at most data.max_pixels of it";

const HELP_CONVERT: &str = "convert it first, for example with Pillow: \
    python -c \"from PIL import Image; Image.open('a.avif').convert('RGB').save('a.png')\" \
    (HEIC: pip install pillow-heif)";

const HELP_AGAIN: &str = "fetch or export the file again, or drop the row";

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

/// What a decoder may allocate.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    limits
}

/// Refuses images without pixels and images beyond [`MAX_PIXELS`].
pub(crate) fn check_size((width, height): (u32, u32)) -> Result<(), Error> {
    if width == 0 || height == 0 {
        return Err(Error::media("image has no pixels").found(format!("{width}×{height}")));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Error::media("image is too large")
            .found(format!("{width}×{height}"))
            .expected(format!("at most {MAX_PIXELS} pixels"))
            .help(HELP_SMALLER));
    }
    Ok(())
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

/// Turns a panic of a third-party decoder on hostile bytes into an error.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::media("the decoder gave up on this file").help(HELP_AGAIN)))
}

fn to_rgb(image: DynamicImage, original: ExtendedColorType) -> RgbImage {
    let high = |v: u16| (v >> 8) as u8;
    // PIL opens 16-bit gray as mode "I;16", whose conversion clips; 16-bit colour and gray with
    // alpha are unpacked to 8 bits by their high byte.
    let clip = |v: u16| v.min(255) as u8;
    match image {
        DynamicImage::ImageRgb8(image) => image,
        DynamicImage::ImageLuma8(image) => map(&image, |p| [p.0[0]; 3]),
        DynamicImage::ImageLumaA8(image) => map(&image, |p| [over_white(p.0[0], p.0[1]); 3]),
        DynamicImage::ImageRgba8(image) => on_white(&image),
        DynamicImage::ImageLuma16(image) => map(&image, |p| [clip(p.0[0]); 3]),
        DynamicImage::ImageLumaA16(image) if original == ExtendedColorType::L16 => {
            map(&image, |p| [over_white(clip(p.0[0]), high(p.0[1])); 3])
        }
        DynamicImage::ImageLumaA16(image) => {
            map(&image, |p| [over_white(high(p.0[0]), high(p.0[1])); 3])
        }
        DynamicImage::ImageRgb16(image) => map(&image, |p| p.0.map(high)),
        DynamicImage::ImageRgba16(image) => map(&image, |p| {
            let [red, green, blue, alpha] = p.0.map(high);
            [red, green, blue].map(|colour| over_white(colour, alpha))
        }),
        other => on_white(&other.into_rgba8()),
    }
}

/// A picture on white ground, as `qwen_vl_utils.to_rgb` puts it: a drawing on transparent ground would be black
/// on black.
pub(crate) fn on_white(image: &RgbaImage) -> RgbImage {
    map(image, |p| {
        let [red, green, blue, alpha] = p.0;
        [red, green, blue].map(|colour| over_white(colour, alpha))
    })
}

/// Pillow's `paste` with a mask: rounded, in whole numbers.
fn over_white(colour: u8, alpha: u8) -> u8 {
    let (colour, alpha) = (u32::from(colour), u32::from(alpha));
    let sum = 255 * (255 - alpha) + colour * alpha + 128;
    (((sum >> 8) + sum) >> 8) as u8
}

/// Makes pixels without any paint opaque ones of a colour.
fn fill(image: &mut RgbaImage, [red, green, blue]: [u8; 3]) {
    for pixel in image.pixels_mut().filter(|pixel| pixel.0[3] == 0) {
        pixel.0 = [red, green, blue, 255];
    }
}

/// What Pillow shows of a GIF's screen around a first frame that is smaller: the first colour of the frame's
/// palette; nothing is painted where the frame has a transparent colour.
fn gif_background(bytes: &[u8]) -> Option<[u8; 3]> {
    let u16_at = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let table = |flags: u8| match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    };
    let screen = (u16_at(6)?, u16_at(8)?);
    let global = table(*bytes.get(10)?);
    let mut at = 13 + global;
    loop {
        match *bytes.get(at)? {
            0x21 => {
                if *bytes.get(at + 1)? == 0xF9 && *bytes.get(at + 3)? & 1 == 1 {
                    return None;
                }
                at = crate::video::gif::skip_blocks(bytes, at + 2)?;
            }
            0x2C => {
                let frame = (u16_at(at + 5)?, u16_at(at + 7)?);
                if frame == screen {
                    return None;
                }
                let local = table(*bytes.get(at + 9)?);
                let palette = match (local, global) {
                    (0, 0) => return Some([0; 3]),
                    (0, _) => 13,
                    _ => at + 10,
                };
                let colour = bytes.get(palette..palette + 3)?;
                return Some([colour[0], colour[1], colour[2]]);
            }
            _ => return None,
        }
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

fn map<P: image::Pixel>(
    image: &ImageBuffer<P, Vec<P::Subpixel>>,
    colour: impl Fn(&P) -> [u8; 3],
) -> RgbImage {
    let mut out = RgbImage::new(image.width(), image.height());
    for (to, from) in out.pixels_mut().zip(image.pixels()) {
        *to = Rgb(colour(from));
    }
    out
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
