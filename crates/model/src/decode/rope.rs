//! Cosines and sines of single rows, from the frequencies that training uses.

use crate::TextConfig;
use crate::text::rope::scaled_frequencies;

/// Positions whose angles are computed once.
const TABLE: usize = 4096;

/// Rotary positions of a decoder.
pub(super) struct Rope {
    frequencies: Vec<f32>,
    /// Which of (t, h, w) turns each frequency.
    axis: Vec<usize>,
    /// `[position][frequency]` of (cos, sin).
    table: Vec<(f32, f32)>,
}

impl Rope {
    pub(super) fn new(config: &TextConfig) -> Self {
        let frequencies = scaled_frequencies(&config.rope, config.head_dim);
        let axis = match config.rope.mrope_section {
            None => vec![0; frequencies.len()],
            Some(section) => (0..3)
                .flat_map(|a| std::iter::repeat_n(a, section[a]))
                .collect(),
        };
        let positions = config.max_position_embeddings.min(TABLE) as u32;
        let table = (0..positions)
            .flat_map(|p| frequencies.iter().map(move |f| angle(p, *f)))
            .collect();
        Self {
            frequencies,
            axis,
            table,
        }
    }

    /// Sets `cos` and `sin` to `[rows, head_dim / 2]`.
    pub(super) fn fill(
        &self,
        positions: impl Iterator<Item = [u32; 3]>,
        cos: &mut Vec<f32>,
        sin: &mut Vec<f32>,
    ) {
        cos.clear();
        sin.clear();
        let half = self.frequencies.len();
        for position in positions {
            for (i, &axis) in self.axis.iter().enumerate() {
                let p = position[axis];
                let known = self.table.get(p as usize * half + i).copied();
                let (c, s) = known.unwrap_or_else(|| angle(p, self.frequencies[i]));
                cos.push(c);
                sin.push(s);
            }
        }
    }
}

fn angle(position: u32, frequency: f32) -> (f32, f32) {
    let (sin, cos) = (position as f32 * frequency).sin_cos();
    (cos, sin)
}
