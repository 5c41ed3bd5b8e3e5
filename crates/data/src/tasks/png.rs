//! Drawn pictures as PNG files.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};

/// Fast compression: an image is read once or twice, and noise does not compress anyway.
pub(crate) fn png(image: &image::RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Sub);
    image
        .write_with_encoder(encoder)
        .expect("writing to memory does not fail, and an RGB image is valid PNG");
    bytes.into_inner()
}
