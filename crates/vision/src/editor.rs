//! What an editor is asked and what it gives.

use image::{RgbImage, Rgba, RgbaImage, imageops};
use percept_data::coco::Mask;
use serde_json::Value;

use crate::fits::fits;
use crate::{Cutout, Error, Placement};

/// One edit: what `mask` shows is to become an object of `class`.
#[derive(Debug, Clone, Copy)]
pub struct Edit<'a> {
    /// The picture.
    pub image: &'a RgbImage,
    /// The pixels that may change.
    pub mask: &'a Mask,
    /// The object to be replaced; it lies in the mask.
    pub object: &'a Mask,
    /// Pixels that must not be copied into the mask: other objects of the replaced class.
    pub avoid: &'a Mask,
    /// The class of the new object.
    pub class: &'a str,
    /// What the whole picture shows after the edit.
    pub prompt: &'a str,
    /// An object of the new class, for editors that insert one.
    pub cutout: Option<&'a Cutout>,
    /// Fixes everything that is drawn by chance.
    pub seed: u64,
}

/// A picture after an edit.
#[derive(Debug, Clone)]
pub struct Edited {
    /// The picture, as the editor gave it: of any size, and with changes anywhere.
    pub image: RgbImage,
    /// Where the cut-out was put, by editors that insert one.
    pub placement: Option<Placement>,
}

/// Edits pictures inside a mask.
pub trait Editor: Send + Sync {
    /// What edits, as far as the picture depends on it; it holds no secret.
    fn identity(&self) -> Value;

    /// The edited picture.
    ///
    /// # Errors
    /// A mask that does not fit the picture, and what can go wrong with the editor.
    fn edit(&self, edit: &Edit<'_>) -> Result<Edited, Error>;

    /// Whether [`Edit::cutout`] is needed.
    fn inserts_cutouts(&self) -> bool {
        false
    }

    /// Edits under way at once that the editor can use.
    fn at_once(&self) -> usize {
        1
    }
}

/// `original` with the pixels of `edited` inside the mask: editors that paint a whole picture
/// (diffusion models, with their decoder and their own resolution) change everything a little. An
/// edited picture of another size is scaled first.
///
/// # Errors
/// A mask that does not fit the original.
pub fn composite(original: &RgbImage, edited: &RgbImage, mask: &Mask) -> Result<RgbImage, Error> {
    fits(original, mask)?;
    let edited = at_size_of(original, edited);
    let mut whole = original.clone();
    for (x, y) in mask.pixels() {
        whole.put_pixel(x, y, *edited.get_pixel(x, y));
    }
    Ok(whole)
}

/// Share of the pixels outside the mask that an editor changed by more than `levels` (of 255) in
/// any channel; 0 when the mask leaves none.
///
/// # Errors
/// A mask that does not fit the original.
pub fn changed_outside(
    original: &RgbImage,
    edited: &RgbImage,
    mask: &Mask,
    levels: u8,
) -> Result<f64, Error> {
    fits(original, mask)?;
    let edited = at_size_of(original, edited);
    let (mut outside, mut changed) = (0_usize, 0_usize);
    for (x, y, before) in original.enumerate_pixels() {
        if mask.get(x, y) {
            continue;
        }
        let after = edited.get_pixel(x, y);
        let far = |(a, b): (&u8, &u8)| a.abs_diff(*b) > levels;
        outside += 1;
        changed += usize::from(before.0.iter().zip(&after.0).any(far));
    }
    Ok(changed as f64 / outside.max(1) as f64)
}

fn at_size_of<'a>(original: &RgbImage, edited: &'a RgbImage) -> std::borrow::Cow<'a, RgbImage> {
    use std::borrow::Cow;
    let (width, height) = original.dimensions();
    match edited.dimensions() == (width, height) {
        true => Cow::Borrowed(edited),
        false => Cow::Owned(imageops::resize(
            edited,
            width,
            height,
            imageops::FilterType::Lanczos3,
        )),
    }
}

/// The mask as image services want it: the picture, transparent where it may change.
///
/// # Errors
/// A mask that does not fit the picture.
pub fn transparent_mask(image: &RgbImage, mask: &Mask) -> Result<RgbaImage, Error> {
    fits(image, mask)?;
    let (width, height) = image.dimensions();
    Ok(RgbaImage::from_fn(width, height, |x, y| {
        let [r, g, b] = image.get_pixel(x, y).0;
        Rgba([r, g, b, if mask.get(x, y) { 0 } else { 255 }])
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn a_composite_keeps_every_pixel_outside_the_mask() {
        let original = RgbImage::from_fn(9, 7, |x, y| Rgb([x as u8, y as u8, 3]));
        let mask = Mask::from_fn(9, 7, |x, y| x > 4 && y > 2);
        // Twice the size, as a service may answer.
        let edited = RgbImage::from_pixel(18, 14, Rgb([200, 100, 50]));
        assert!(changed_outside(&original, &edited, &mask, 0).unwrap() > 0.99);
        let whole = composite(&original, &edited, &mask).unwrap();
        assert_eq!(changed_outside(&original, &whole, &mask, 0).unwrap(), 0.0);
        assert!(
            mask.pixels()
                .all(|(x, y)| whole.get_pixel(x, y).0 == [200, 100, 50])
        );
    }

    #[test]
    fn what_may_change_is_transparent() {
        let image = RgbImage::from_pixel(2, 1, Rgb([1, 2, 3]));
        let mask = Mask::from_fn(2, 1, |x, _| x == 1);
        let rgba = transparent_mask(&image, &mask).unwrap();
        assert_eq!(rgba.into_raw(), [1, 2, 3, 255, 1, 2, 3, 0]);
        assert!(transparent_mask(&image, &Mask::new(1, 2)).is_err());
    }
}
