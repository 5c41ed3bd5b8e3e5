//! An object cut out of its picture, and where it goes in another one.

use image::{GrayImage, Luma, RgbImage, imageops};
use percept_data::coco::{Mask, Rect};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::fits::fits;

/// Pixels of the surroundings that are kept around an object: the gradients across its outline.
const MARGIN: u32 = 2;

/// Share of a cut-out's pixels, in per cent, that must lie in the mask of an edit.
const LEAST_VISIBLE: u32 = 90;

/// An object cut out of its picture.
#[derive(Debug, Clone)]
pub struct Cutout {
    image: RgbImage,
    mask: Mask,
}

/// Where a cut-out was put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// Size in the new picture over size in its own.
    pub scale: f64,
    /// Left, top, width and height of the visible part.
    pub bbox: [u32; 4],
    /// Share of its pixels that lie in the mask of the edit; the others are cut off.
    pub visible: f64,
    /// The visible pixels, as pycocotools' `encode` writes them.
    pub rle: String,
}

impl Cutout {
    /// The object `mask` of a picture.
    ///
    /// # Errors
    /// A mask that does not fit the picture or has no pixel.
    pub fn new(image: &RgbImage, mask: &Mask) -> Result<Self, Error> {
        fits(image, mask)?;
        let Some(inner) = mask.bounding_box() else {
            return Err(Error::Covered { what: "nothing" });
        };
        let (x, y) = (
            inner.x.saturating_sub(MARGIN),
            inner.y.saturating_sub(MARGIN),
        );
        let width = (inner.x + inner.width + MARGIN).min(image.width()) - x;
        let height = (inner.y + inner.height + MARGIN).min(image.height()) - y;
        Ok(Self {
            image: imageops::crop_imm(image, x, y, width, height).to_image(),
            mask: Mask::from_fn(width, height, |dx, dy| mask.get(x + dx, y + dy)),
        })
    }

    /// Pixels of the object.
    pub fn area(&self) -> usize {
        self.mask.area()
    }

    /// Scaled by `scale`, both sides at least 1.
    fn scaled(&self, scale: f64) -> Self {
        let side = |len: u32| ((f64::from(len) * scale).round() as u32).max(1);
        let (width, height) = (side(self.image.width()), side(self.image.height()));
        let filter = imageops::FilterType::CatmullRom;
        let flags = GrayImage::from_fn(self.image.width(), self.image.height(), |x, y| {
            Luma([if self.mask.get(x, y) { 255 } else { 0 }])
        });
        let flags = imageops::resize(&flags, width, height, imageops::FilterType::Triangle);
        Self {
            image: imageops::resize(&self.image, width, height, filter),
            mask: Mask::from_fn(width, height, |x, y| flags.get_pixel(x, y).0[0] >= 128),
        }
    }

    /// The cut-out on a canvas of the size of `inside`, in the place of `object`: of the same area,
    /// its foot in the middle of the object's foot, made smaller until enough of it lies `inside`.
    pub(crate) fn placed(&self, object: &Mask, inside: &Mask) -> Result<Placed, Error> {
        let Some(place) = object.bounding_box() else {
            return Err(Error::Covered { what: "nothing" });
        };
        let same_area = (object.area() as f64 / self.area().max(1) as f64).sqrt();
        let mut most = 0.0_f64;
        for shrink in 0..12 {
            let scale = same_area * 0.9_f64.powi(shrink);
            let scaled = self.scaled(scale);
            let Some((left, top)) = scaled.foot_at(place) else {
                continue;
            };
            let (width, height) = (inside.width(), inside.height());
            let whole = Mask::from_fn(width, height, |x, y| {
                let (x, y) = (i64::from(x) - left, i64::from(y) - top);
                match (u32::try_from(x), u32::try_from(y)) {
                    (Ok(x), Ok(y)) => scaled.mask.get(x, y),
                    _ => false,
                }
            });
            let seen = whole.intersection(inside)?;
            let visible = seen.area() as f64 / scaled.mask.area().max(1) as f64;
            most = most.max(visible);
            if visible * 100.0 < f64::from(LEAST_VISIBLE) {
                continue;
            }
            let Some(bbox) = seen.bounding_box() else {
                continue;
            };
            return Ok(Placed {
                image: scaled.on_canvas(left, top, width, height),
                placement: Placement {
                    scale,
                    bbox: [bbox.x, bbox.y, bbox.width, bbox.height],
                    visible,
                    rle: seen.rle_string(),
                },
                mask: seen,
            });
        }
        Err(Error::NoPlace {
            cutout: self.area(),
            mask: inside.area(),
            share: most * 100.0,
            least: LEAST_VISIBLE,
        })
    }

    /// Left and top of the cut-out when its foot stands in the middle of the foot of `place`.
    fn foot_at(&self, place: Rect) -> Option<(i64, i64)> {
        let own = self.mask.bounding_box()?;
        let middle = i64::from(place.x) + i64::from(place.width) / 2;
        let left = middle - i64::from(own.width) / 2 - i64::from(own.x);
        let foot = i64::from(place.y) + i64::from(place.height);
        Some((left, foot - i64::from(own.height) - i64::from(own.y)))
    }

    /// The picture at this place of a canvas; beyond it, its nearest pixel.
    fn on_canvas(&self, left: i64, top: i64, width: u32, height: u32) -> RgbImage {
        let (last_x, last_y) = (self.image.width() - 1, self.image.height() - 1);
        let near = |at: i64, last: u32| at.clamp(0, i64::from(last)) as u32;
        RgbImage::from_fn(width, height, |x, y| {
            let (x, y) = (i64::from(x) - left, i64::from(y) - top);
            *self.image.get_pixel(near(x, last_x), near(y, last_y))
        })
    }
}

/// A cut-out on the canvas of another picture.
#[derive(Debug)]
pub(crate) struct Placed {
    pub image: RgbImage,
    pub mask: Mask,
    pub placement: Placement,
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn cutout() -> Cutout {
        let image = RgbImage::from_pixel(50, 40, Rgb([9, 9, 9]));
        let rect = Rect {
            x: 10,
            y: 10,
            width: 20,
            height: 20,
        };
        Cutout::new(&image, &Mask::from_rect(50, 40, rect)).unwrap()
    }

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Mask {
        Mask::from_rect(
            100,
            80,
            Rect {
                x,
                y,
                width,
                height,
            },
        )
    }

    #[test]
    fn it_stands_where_the_object_stood_with_its_area() {
        let object = rect(30, 20, 40, 40);
        let placed = cutout().placed(&object, &object.dilate(5, 10)).unwrap();
        assert_eq!(placed.placement.visible, 1.0);
        assert!((placed.placement.scale - 2.0).abs() < 1e-12);
        let [x, y, width, height] = placed.placement.bbox.map(i64::from);
        assert!((x + width / 2 - 50).abs() <= 1 && (y + height - 60).abs() <= 1);
        assert!((placed.mask.area() as f64 / 1600.0 - 1.0).abs() < 0.1);
    }

    #[test]
    fn it_shrinks_until_it_fits_and_is_refused_where_it_cannot() {
        // As large as the object but of another shape: what would stick out is not shown.
        let object = rect(10, 30, 80, 5);
        let inside = object.dilate(3, 1);
        let placed = cutout().placed(&object, &inside).unwrap();
        assert!(placed.placement.scale < 0.6 && placed.placement.visible >= 0.9);
        assert!(placed.mask.minus(&inside).unwrap().is_empty());
        let error = cutout().placed(&object, &rect(0, 0, 2, 2)).unwrap_err();
        assert!(matches!(error, Error::NoPlace { .. }));
    }
}
