//! Pictures as files.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

use crate::BuildError;

/// An image as PNG.
pub(crate) fn png(image: &RgbImage) -> Result<Vec<u8>, BuildError> {
    let mut bytes = Cursor::new(Vec::new());
    let written = image.write_to(&mut bytes, ImageFormat::Png);
    written.map_err(unwritten)?;
    Ok(bytes.into_inner())
}

/// An image as JPEG of this quality, 1 to 100.
pub(crate) fn jpeg(image: &RgbImage, quality: u8) -> Result<Vec<u8>, BuildError> {
    percept_eval::jpeg(image, quality).map_err(unwritten)
}

fn unwritten(source: image::ImageError) -> BuildError {
    let what = "encoding".into();
    percept_vision::Error::Picture { what, source }.into()
}
