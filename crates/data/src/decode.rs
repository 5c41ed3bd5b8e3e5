//! Encoded bytes to RGB pixels, the way PIL's `convert("RGB")` does it, with limits before work.

use std::io::{BufRead, Cursor, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{
    DynamicImage, ExtendedColorType, ImageBuffer, ImageDecoder, ImageFormat, ImageReader, Limits,
    Rgb, RgbImage,
};

use crate::Error;
use crate::media::MAX_PIXELS;

/// Decoders may hold this much: 16-bit RGBA at [`MAX_PIXELS`], twice.
const MAX_DECODER_BYTES: u64 = 16 * MAX_PIXELS;

const FORMATS: &str = "PNG, JPEG, WebP, GIF or BMP";

/// Width and height from the header; refuses what [`rgb`] would refuse by size.
pub(crate) fn dimensions<R: BufRead + Seek>(source: R) -> Result<(u32, u32), Error> {
    guarded(|| {
        let reader = reader(source)?;
        let size = reader.into_dimensions().map_err(|e| corrupt(&e))?;
        check_size(size)?;
        Ok(size)
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
        let decoder = reader.into_decoder().map_err(|e| corrupt(&e))?;
        check_size(decoder.dimensions())?;
        let original = decoder.original_color_type();
        let image = DynamicImage::from_decoder(decoder).map_err(|e| corrupt(&e))?;
        Ok(to_rgb(image, original))
    })
}

const HELP_SMALLER: &str = "scale the image down; the model sees at most data.max_pixels of it";

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
            | ImageFormat::Bmp,
        ) => {}
        Some(other) => {
            return Err(Error::media("image format is not supported")
                .found(format!("{other:?}"))
                .expected(FORMATS));
        }
        None => return Err(Error::media("not an image").expected(FORMATS)),
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
        DynamicImage::ImageLumaA8(image) => map(&image, |p| [p.0[0]; 3]),
        DynamicImage::ImageRgba8(image) => map(&image, |p| [p.0[0], p.0[1], p.0[2]]),
        DynamicImage::ImageLuma16(image) => map(&image, |p| [clip(p.0[0]); 3]),
        DynamicImage::ImageLumaA16(image) if original == ExtendedColorType::L16 => {
            map(&image, |p| [clip(p.0[0]); 3])
        }
        DynamicImage::ImageLumaA16(image) => map(&image, |p| [high(p.0[0]); 3]),
        DynamicImage::ImageRgb16(image) => map(&image, |p| p.0.map(high)),
        DynamicImage::ImageRgba16(image) => {
            map(&image, |p| [high(p.0[0]), high(p.0[1]), high(p.0[2])])
        }
        other => other.to_rgb8(),
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
