//! The plan of Qwen2-VL's and Qwen2.5-VL's towers: order, attention and rotary positions of the patches.
//!
//! In Qwen2.5-VL patches are ordered by window, so that window attention is attention over contiguous runs; merged
//! tokens are put back in the order of the prompt by [`VisionPlan::sources`].

use std::sync::Arc;

use percept_data::Patches;
use percept_nn::Layout;

use crate::text::rope::{fill, frequencies};
use crate::vision::plan::{VisionPlan, distinct};
use crate::{Error, Qwen2VlVision};

/// The patches of one image in the tower's order.
struct Order {
    /// Merged tokens in natural order, listed in the tower's order.
    merged: Vec<u32>,
    /// Merged tokens of each window, in the tower's order.
    windows: Vec<usize>,
}

impl VisionPlan {
    /// The plan of Qwen2-VL's and Qwen2.5-VL's towers for images that [`check_image`] accepts.
    pub(crate) fn windowed(config: &Qwen2VlVision, images: &[Arc<Patches>]) -> Self {
        let (unique, which) = distinct(images);
        let orders: Vec<Order> = unique
            .iter()
            .map(|image| order(config, image.grid_thw))
            .collect();
        let (positions, pixels) = gather(config, &unique, &orders);
        let frequencies = frequencies(config.rope_theta, config.head_dim() / 2);
        let quarter = frequencies.len();
        let (cos, sin) = fill(config.head_dim(), &positions, |[h, w], angles| {
            for (i, f) in frequencies.iter().enumerate() {
                angles[i] = *h as f32 * f;
                angles[quarter + i] = *w as f32 * f;
            }
        });
        let frames = unique.iter().flat_map(|image| {
            let [t, h, w] = image.grid_thw;
            std::iter::repeat_n(h * w, t)
        });
        let unit = config.merge_unit();
        let windows = orders
            .iter()
            .flat_map(|order| order.windows.iter().map(|n| n * unit));
        Self {
            patches: positions.len(),
            merged: positions.len() / unit,
            frames: Arc::new(Layout::packed(&frames.collect::<Vec<_>>())),
            windows: config
                .windows
                .is_some()
                .then(|| Arc::new(Layout::packed(&windows.collect::<Vec<_>>()))),
            pixels,
            rotary: Some((cos, sin)),
            sources: sources(&which, &orders),
        }
    }
}

impl Qwen2VlVision {
    pub(crate) fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// Merged tokens of a `(t, h, w)` grid of patches.
    pub fn merged_tokens(&self, [t, h, w]: [usize; 3]) -> usize {
        t * (h / self.spatial_merge_size) * (w / self.spatial_merge_size)
    }
}

pub(crate) fn check_image(
    config: &Qwen2VlVision,
    image: &Patches,
    index: usize,
) -> Result<(), Error> {
    let ([t, h, w], merge) = (image.grid_thw, config.spatial_merge_size);
    if t * h * w == 0 || !h.is_multiple_of(merge) || !w.is_multiple_of(merge) {
        let message = format!(
            "image {index} has a grid of {t} × {h} × {w} patches; height and width must be \
             multiples of spatial_merge_size = {merge}"
        );
        return Err(Error::batch("images", message));
    }
    let (found, values) = (image.pixels.len(), config.patch_values());
    if found != t * h * w * values {
        let message = format!(
            "image {index} has {found} values for {t} × {h} × {w} patches of {values} each; were \
             patch_size and temporal_patch_size those of this model's preprocessor_config.json?"
        );
        return Err(Error::batch("images", message));
    }
    Ok(())
}

fn order(config: &Qwen2VlVision, [t, h, w]: [usize; 3]) -> Order {
    let (rows, columns) = (h / config.spatial_merge_size, w / config.spatial_merge_size);
    let tokens = t * rows * columns;
    let Some(side) = config.window_tokens() else {
        return Order {
            merged: (0..tokens as u32).collect(),
            windows: Vec::new(),
        };
    };
    let mut order = Order {
        merged: Vec::with_capacity(tokens),
        windows: Vec::new(),
    };
    for frame in 0..t {
        for top in (0..rows).step_by(side) {
            for left in (0..columns).step_by(side) {
                let (bottom, right) = ((top + side).min(rows), (left + side).min(columns));
                for row in top..bottom {
                    let start = (frame * rows + row) * columns;
                    order
                        .merged
                        .extend((start + left..start + right).map(|i| i as u32));
                }
                order.windows.push((bottom - top) * (right - left));
            }
        }
    }
    order
}

/// Positions `(h, w)` and pixels of all patches, in the tower's order.
fn gather(
    config: &Qwen2VlVision,
    images: &[&Arc<Patches>],
    orders: &[Order],
) -> (Vec<[u32; 2]>, Vec<f32>) {
    let (merge, unit) = (config.spatial_merge_size, config.merge_unit());
    let values = config.patch_values() * unit;
    let total: usize = images.iter().map(|image| image.pixels.len()).sum();
    let mut pixels = Vec::with_capacity(total);
    let mut positions = Vec::new();
    for (image, order) in images.iter().zip(orders) {
        let [_, h, w] = image.grid_thw;
        let (rows, columns) = (h / merge, w / merge);
        for &token in &order.merged {
            let token = token as usize;
            pixels.extend_from_slice(&image.pixels[token * values..(token + 1) * values]);
            let (row, column) = (token / columns % rows, token % columns);
            positions.extend((0..unit).map(|i| {
                [
                    (row * merge + i / merge) as u32,
                    (column * merge + i % merge) as u32,
                ]
            }));
        }
    }
    (positions, pixels)
}

fn sources(which: &[usize], orders: &[Order]) -> Vec<u32> {
    let mut offset = 0;
    let rows: Vec<Vec<u32>> = orders
        .iter()
        .map(|order| {
            let mut rows = vec![0; order.merged.len()];
            for (row, &token) in order.merged.iter().enumerate() {
                rows[token as usize] = offset + row as u32;
            }
            offset += order.merged.len() as u32;
            rows
        })
        .collect();
    which
        .iter()
        .flat_map(|&image| rows[image].iter().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WindowConfig;
    use proptest::prelude::*;

    const VALUES: usize = 2;

    fn config(window: usize) -> Qwen2VlVision {
        Qwen2VlVision {
            depth: 1,
            hidden_size: 8,
            intermediate_size: 8,
            num_heads: 1,
            in_channels: VALUES,
            patch_size: 1,
            temporal_patch_size: 1,
            spatial_merge_size: 2,
            out_hidden_size: 8,
            rope_theta: 1e4,
            windows: Some(WindowConfig {
                window_size: window,
                fullatt_block_indexes: vec![],
            }),
            tokens_per_second: 1,
        }
    }

    /// An image whose first pixel value is the index of the patch, the second that of the image.
    fn image(index: usize, [t, h, w]: [usize; 3]) -> Arc<Patches> {
        let grid_thw = [t, 2 * h, 2 * w];
        let patches = grid_thw.iter().product();
        let pixels = (0..patches)
            .flat_map(|i| [i as f32, index as f32])
            .collect();
        Arc::new(Patches { grid_thw, pixels })
    }

    /// Whether no image was planned for another.
    fn distinct(plan: &VisionPlan) -> bool {
        4 * plan.sources.len() == plan.patches
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn windows_are_squares_of_their_frame_and_sources_undo_the_order(
            grids in prop::collection::vec([1usize..3, 1usize..8, 1usize..8], 1..4),
            side in 1usize..5,
        ) {
            let images: Vec<_> = grids.iter().enumerate().map(|(i, &grid)| image(i, grid)).collect();
            let plan = VisionPlan::windowed(&config(2 * side), &images);
            prop_assert!(distinct(&plan));
            // Natural order of patches, read back through `sources`.
            let mut natural = plan.sources.iter();
            for ([t, h, w], image) in grids.iter().zip(&images) {
                for token in 0..t * h * w {
                    let row = *natural.next().unwrap() as usize;
                    let found = &plan.pixels[row * 4 * VALUES..(row + 1) * 4 * VALUES];
                    prop_assert_eq!(found, &image.pixels[token * 4 * VALUES..][..4 * VALUES]);
                }
            }
            let windows = plan.windows.unwrap();
            prop_assert_eq!(windows.len(), plan.patches);
            prop_assert_eq!(plan.frames.len(), plan.patches);
            for window in windows.spans() {
                prop_assert!(window.len <= 4 * side * side);
                let inside = |frame: &&percept_nn::Span| {
                    frame.start <= window.start && window.end() <= frame.end()
                };
                prop_assert_eq!(plan.frames.spans().iter().filter(inside).count(), 1);
            }
        }

        #[test]
        fn an_image_that_occurs_twice_is_planned_once(h in 1usize..6, w in 1usize..6) {
            let (a, mut b) = (image(0, [1, h, w]), image(1, [1, w, h]));
            Arc::make_mut(&mut b).pixels[0] = -1.0;
            let once = VisionPlan::windowed(&config(4), &[a.clone(), b.clone()]);
            // The same array, and another row's own copy of it.
            for again in [a.clone(), Arc::new(a.as_ref().clone())] {
                let twice = VisionPlan::windowed(&config(4), &[a.clone(), b.clone(), again]);
                prop_assert_eq!(&once.pixels, &twice.pixels);
                prop_assert!(!distinct(&twice));
                prop_assert_eq!(&twice.sources[..h * w], &twice.sources[2 * h * w..]);
            }
            let mut other = a.as_ref().clone();
            let last = other.pixels.len() - 2;
            other.pixels[last] += 1.0;
            let both = VisionPlan::windowed(&config(4), &[a, Arc::new(other)]);
            prop_assert!(distinct(&both), "one pixel differs");
        }
    }
}
