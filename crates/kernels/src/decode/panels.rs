//! Weights in f32, packed for products in the order in which these read them.

use rayon::prelude::*;

use super::parts::{LinearPart, Stacked};
use crate::lines::Line;
use crate::simd::LANES;

/// Outputs of one panel: four AVX-512 registers.
pub(super) const PANEL: usize = 64;

/// A weight `[outputs, inputs]` in panels of 64 outputs, with its bias.
#[derive(Clone)]
pub(super) struct Panels {
    /// Panel after panel `[inputs][64]`; the last panel is as narrow as a multiple of sixteen allows.
    /// Empty in bfloat16.
    pub(super) lines: Vec<Line>,
    /// Bias, or zeros, up to a multiple of sixteen.
    pub(super) bias: Vec<f32>,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
}

impl Panels {
    /// Packs several weights `[outputs_i, inputs]` one under the other.
    ///
    /// # Panics
    /// When a length does not fit its shape.
    pub(super) fn concat(parts: &[LinearPart<'_>], inputs: usize) -> Self {
        let Stacked {
            rows,
            bias,
            outputs,
        } = Stacked::new(parts, inputs, LANES);
        let padded = bias.len();
        let mut lines = vec![Line::ZERO; padded / LANES * inputs];
        let per_panel = (PANEL / LANES * inputs).max(1);
        lines
            .par_chunks_mut(per_panel)
            .enumerate()
            .for_each(|(p, panel)| {
                let vectors = panel.len() / inputs;
                let rows = &rows[p * PANEL..];
                // Sixteen rows by sixteen inputs at a time: a transposition within the first-level cache.
                for k in (0..inputs).step_by(LANES) {
                    let end = (k + LANES).min(inputs);
                    for v in 0..vectors {
                        let rows = &rows[v * LANES..rows.len().min((v + 1) * LANES)];
                        for (o, row) in rows.iter().enumerate() {
                            for (i, &value) in row[k..end].iter().enumerate() {
                                panel[(k + i) * vectors + v].0[o] = value;
                            }
                        }
                    }
                }
            });
        Self {
            lines,
            bias,
            outputs,
            inputs,
        }
    }

    /// Copies row `output` of the weight, which is `row.len()` long.
    pub(super) fn weight_row(&self, output: usize, row: &mut [f32]) {
        let (panel, o) = (output / PANEL, output % PANEL);
        let vectors = self.vectors(panel);
        let lines = &self.lines[panel * (PANEL / LANES) * self.inputs..];
        for (k, value) in row.iter_mut().enumerate() {
            *value = lines[k * vectors + o / LANES].0[o % LANES];
        }
    }

    /// Vectors of sixteen outputs in a panel.
    pub(super) fn vectors(&self, panel: usize) -> usize {
        (self.bias.len() / LANES - panel * (PANEL / LANES)).min(PANEL / LANES)
    }

    /// Memory held.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.lines.as_slice()) + size_of_val(self.bias.as_slice())
    }
}
