//! The picture at halved and halved sizes.

use percept_data::coco::Mask;

use super::patch::{RADIUS, SIDE};
use crate::picture::Picture;

/// One size of the picture.
#[derive(Debug, Clone)]
pub(super) struct Level {
    pub picture: Picture,
    pub hole: Mask,
    pub avoid: Mask,
}

impl Level {
    /// Half the size; colours are means of the known pixels.
    fn half(&self) -> Self {
        let (width, height) = (self.picture.width / 2, self.picture.height / 2);
        let mut colours = Vec::with_capacity(width * height);
        let mut hole = Mask::new(width as u32, height as u32);
        let mut avoid = hole.clone();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let mut sum = [0.0_f32; 3];
            let mut known = 0.0_f32;
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let (fx, fy) = (2 * x + dx, 2 * y + dy);
                if self.avoid.get(fx as u32, fy as u32) {
                    avoid.set(x as u32, y as u32, true);
                }
                if self.hole.get(fx as u32, fy as u32) {
                    continue;
                }
                known += 1.0;
                for (sum, colour) in sum.iter_mut().zip(self.picture.get(fx, fy)) {
                    *sum += colour;
                }
            }
            if known == 0.0 {
                hole.set(x as u32, y as u32, true);
            }
            colours.push(sum.map(|s| s / known.max(1.0)));
        }
        Self {
            picture: Picture {
                width,
                height,
                colours,
            },
            hole,
            avoid,
        }
    }

    /// The hole filled with a coarser level's colours, in between by bilinear interpolation.
    pub fn enlarge_into_hole(&mut self, coarser: &Picture) {
        for (x, y) in self.hole.pixels() {
            let place = y as usize * self.picture.width + x as usize;
            self.picture.colours[place] = between(coarser, x, y);
        }
    }
}

/// The colour of fine pixel (x, y): coarse pixel i lies at fine 2 i + ½.
fn between(coarser: &Picture, x: u32, y: u32) -> [f32; 3] {
    let axis = |at: u32, len: usize| {
        let at = ((at as f32 - 0.5) / 2.0).clamp(0.0, len as f32 - 1.0);
        let low = at as usize;
        (low, (low + 1).min(len - 1), at - low as f32)
    };
    let (left, right, tx) = axis(x, coarser.width);
    let (top, bottom, ty) = axis(y, coarser.height);
    let mix = |a: [f32; 3], b: [f32; 3], t: f32| [0, 1, 2].map(|c| a[c] + t * (b[c] - a[c]));
    let upper = mix(coarser.get(left, top), coarser.get(right, top), tx);
    let lower = mix(coarser.get(left, bottom), coarser.get(right, bottom), tx);
    mix(upper, lower, ty)
}

/// The picture and its halves, down to one where the hole is as narrow as a patch or the picture
/// gets too small to search.
pub(super) fn levels(picture: Picture, hole: Mask, avoid: Mask) -> Vec<Level> {
    let mut levels = vec![Level {
        picture,
        hole,
        avoid,
    }];
    while let Some(last) = levels.last() {
        let narrow = |hole: &Mask| {
            let side = hole.bounding_box().map_or(0, |b| b.width.min(b.height));
            side as usize <= 2 * RADIUS
        };
        let small = last.picture.width.min(last.picture.height) < 6 * SIDE;
        if small || narrow(&last.hole) {
            break;
        }
        let half = last.half();
        if half.hole.is_empty() {
            break;
        }
        levels.push(half);
    }
    levels
}
