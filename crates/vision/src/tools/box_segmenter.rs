//! The segmenter that needs no model: a box is its own mask.

use percept_data::coco::{Mask, Rect};
use serde_json::{Value, json};

use super::{Detection, Segmenter, Shown};
use crate::Error;

/// The pixels of the box, as far as they lie in the picture: what stands beside an object in its box goes with it.
#[derive(Debug, Clone, Copy, Default)]
pub struct BoxSegmenter;

impl Segmenter for BoxSegmenter {
    fn identity(&self) -> Value {
        json!({"segmenter": "box"})
    }

    fn masks(&self, picture: &Shown<'_>, boxes: &[Detection]) -> Result<Vec<Mask>, Error> {
        let (width, height) = picture.image.dimensions();
        let mask = |found: &Detection| match whole_pixels(found.bbox, width, height) {
            Some(rect) => Mask::from_rect(width, height, rect),
            None => Mask::new(width, height),
        };
        Ok(boxes.iter().map(mask).collect())
    }

    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

/// The pixels that a box touches, as far as they lie in the picture; none where it touches none.
pub(crate) fn whole_pixels(bbox: [f64; 4], width: u32, height: u32) -> Option<Rect> {
    if !bbox.iter().all(|side| side.is_finite()) {
        return None;
    }
    let clamp = |at: f64, most: u32| at.clamp(0.0, f64::from(most));
    let [left, top] = [
        clamp(bbox[0], width).floor(),
        clamp(bbox[1], height).floor(),
    ];
    let right = clamp(bbox[0] + bbox[2], width).ceil();
    let bottom = clamp(bbox[1] + bbox[3], height).ceil();
    (right > left && bottom > top).then_some(Rect {
        x: left as u32,
        y: top as u32,
        width: (right - left) as u32,
        height: (bottom - top) as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    #[test]
    fn a_box_is_cut_at_the_edges_and_one_outside_is_empty() {
        let image = RgbImage::new(10, 8);
        let shown = Shown {
            image: &image,
            file: None,
            image_id: None,
        };
        let found = |bbox| Detection {
            tag: "cup".into(),
            bbox,
            score: 1.0,
            text_score: None,
        };
        let boxes = [
            found([1.5, 2.0, 2.0, 2.0]),
            found([-5.0, -5.0, 7.0, 6.0]),
            found([8.0, 1.0, 100.0, 1.0]),
            found([20.0, 1.0, 5.0, 5.0]),
            found([1.0, 1.0, -3.0, f64::NAN]),
        ];
        let masks = BoxSegmenter.masks(&shown, &boxes).unwrap();
        let areas: Vec<usize> = masks.iter().map(Mask::area).collect();
        // Columns 1 to 3 and rows 2 to 3; 2 × 1; 2 × 1; nothing.
        assert_eq!(areas, [6, 2, 2, 0, 0]);
    }
}
