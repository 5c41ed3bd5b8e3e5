//! A mask and its picture have one size.

use image::RgbImage;
use percept_data::coco::Mask;

use crate::Error;

/// Checks that a mask belongs to a picture.
pub(crate) fn fits(image: &RgbImage, mask: &Mask) -> Result<(), Error> {
    match (mask.width(), mask.height()) == image.dimensions() {
        true => Ok(()),
        false => Err(Error::Size {
            mask: (mask.width(), mask.height()),
            picture: image.dimensions(),
        }),
    }
}
