//! What a vision tower reads: pictures cut into patches.

/// What the vision tower reads of one image or video.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patches {
    /// Temporal, vertical and horizontal patches.
    pub grid_thw: [usize; 3],
    /// `[t·h·w, 3 · temporal_patch_size · patch_size²]`: patches of one merged token are
    /// neighbours; inside a patch: channel, frame, row, column.
    pub pixels: Vec<f32>,
}

impl Patches {
    /// Patches.
    pub fn len(&self) -> usize {
        self.grid_thw.iter().product()
    }

    /// Whether both show the same, pixel by pixel. A glance decides it for most pairs.
    pub fn same_picture(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || self.grid_thw == other.grid_thw
                && self.glance().eq(other.glance())
                && self.pixels == other.pixels
    }

    /// At most 64 values from all over, so that pictures which begin with one margin differ in them.
    pub fn glance(&self) -> impl Iterator<Item = f32> {
        let far = self.pixels.len() / 64 + 1;
        self.pixels.iter().copied().step_by(far)
    }

    /// Whether there is no patch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How pictures are cut.
pub(crate) struct PatchGrid {
    /// Pixels along a side of a patch.
    pub(crate) patch: usize,
    /// Patches along a side of a merged token.
    pub(crate) merge: usize,
    /// Frames in a patch.
    pub(crate) depth: usize,
}

impl PatchGrid {
    /// Patches of frames, each `[3, height, width]`; what is beyond the last whole patch is left out.
    pub(crate) fn cut(&self, frames: &[&[f32]], width: usize, height: usize) -> Patches {
        let (patch, merge, depth) = (self.patch, self.merge, self.depth);
        let grid = [frames.len() / depth, height / patch, width / patch];
        let area = width * height;
        let mut pixels = Vec::with_capacity(3 * frames.len() * area);
        for time in frames.chunks_exact(depth) {
            for (top, left) in blocks(grid[1], grid[2], merge) {
                for channel in 0..3 {
                    for frame in time {
                        for row in 0..patch {
                            let start = channel * area + (top * patch + row) * width + left * patch;
                            pixels.extend_from_slice(&frame[start..start + patch]);
                        }
                    }
                }
            }
        }
        Patches {
            grid_thw: grid,
            pixels,
        }
    }
}

/// Patches in the order in which they are merged: blocks row by row, inside a block row by row.
fn blocks(rows: usize, columns: usize, merge: usize) -> impl Iterator<Item = (usize, usize)> {
    let block = move |top: usize, left: usize| {
        (0..merge * merge).map(move |i| (top * merge + i / merge, left * merge + i % merge))
    };
    (0..rows / merge)
        .flat_map(move |top| (0..columns / merge).flat_map(move |left| block(top, left)))
}
