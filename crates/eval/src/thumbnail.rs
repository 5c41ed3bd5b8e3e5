//! Pictures of reports.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use percept_data::Media;

/// Longer side, in pixels.
const SIDE: u32 = 320;

/// JPEG quality: a page of 300 pairs stays below 10 MB.
const QUALITY: u8 = 75;

/// Why there is no thumbnail.
#[derive(Debug, thiserror::Error)]
pub enum ThumbnailError {
    /// The picture cannot be read.
    #[error(transparent)]
    Data(#[from] percept_data::Error),
    /// It cannot be written as JPEG.
    #[error(transparent)]
    Image(#[from] image::ImageError),
}

/// The picture as a data URL: a JPEG of at most 320 pixels on the longer side.
///
/// # Errors
/// [`ThumbnailError`] for a picture that cannot be read, or [may not](Media::may_leave) be copied into a page.
pub fn thumbnail(picture: &Media) -> Result<String, ThumbnailError> {
    picture.may_leave()?;
    let picture = picture.decode()?;
    let jpeg = small_jpeg(&picture, SIDE)?;
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)))
}

/// A picture as JPEG of at most `longest` pixels on the longer side.
pub(crate) fn small_jpeg(picture: &RgbImage, longest: u32) -> Result<Vec<u8>, image::ImageError> {
    let (width, height) = picture.dimensions();
    let scale = (f64::from(longest) / f64::from(width.max(height))).min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let small = resize(picture, side(width), side(height), FilterType::Triangle);
    jpeg(&small, QUALITY)
}

/// An image as JPEG of this quality, 1 to 100.
///
/// # Errors
/// An image that JPEG cannot hold.
pub fn jpeg(image: &RgbImage, quality: u8) -> Result<Vec<u8>, image::ImageError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(image)?;
    Ok(bytes)
}
