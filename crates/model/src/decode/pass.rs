//! The decoder's arithmetic on rows; attention is the caller's.

use super::weights::{Layer, Weights};
use percept_kernels::Threads;
use percept_kernels::decode::{
    add_rms_norm_rows, rms_norm_heads, rms_norm_rows, rotary_rows, swiglu_rows,
};
use rayon::prelude::*;

/// Element-wise work that is worth handing to another thread, in values (about 10 µs).
const ELEMENTS: usize = 1 << 15;

/// Buffers of one pass, kept for the next.
#[derive(Default)]
pub(super) struct Scratch {
    /// The residual stream `[rows, hidden]`, and its norm.
    pub(super) x: Vec<f32>,
    pub(super) normed: Vec<f32>,
    /// `[rows, head_dim / 2]`.
    pub(super) cos: Vec<f32>,
    pub(super) sin: Vec<f32>,
    qkv: Vec<f32>,
    attended: Vec<f32>,
    gate_up: Vec<f32>,
    activated: Vec<f32>,
    delta: Vec<f32>,
}

fn room(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

impl Weights {
    /// All layers over `scratch.x`; ends with `scratch.normed`, the hidden states after the final norm.
    /// `attention(layer, qkv, out)` gets rotated queries and keys in `[rows, queries + keys + values + gates]`.
    pub(super) fn layers(
        &self,
        scratch: &mut Scratch,
        rows: usize,
        threads: Threads,
        mut attention: impl FnMut(usize, &[f32], &mut [f32]),
    ) {
        let hidden = self.hidden;
        let x = &mut scratch.x[..rows * hidden];
        let normed = room(&mut scratch.normed, rows * hidden);
        let delta = room(&mut scratch.delta, rows * hidden);
        let attended = room(&mut scratch.attended, rows * self.queries);
        let activated = room(&mut scratch.activated, rows * self.intermediate);
        let gate_up = room(&mut scratch.gate_up, 2 * rows * self.intermediate);
        let first = self
            .blocks
            .first()
            .map_or(&self.norm, |layer| &layer.input_norm);
        rms_norm_rows(x, first, self.eps, normed);
        for (index, layer) in self.blocks.iter().enumerate() {
            let next = self
                .blocks
                .get(index + 1)
                .map_or(&self.norm, |layer| &layer.input_norm);
            let qkv = room(&mut scratch.qkv, rows * layer.qkv.outputs());
            layer.qkv.apply_on(normed, qkv, threads);
            self.rotate(layer, qkv, &scratch.cos, &scratch.sin, threads);
            attention(index, qkv, attended);
            layer.o.apply_on(attended, delta, threads);
            self.add_norm(x, delta, &layer.post_norm, normed, threads);
            layer.gate_up.apply_on(normed, gate_up, threads);
            self.activate(gate_up, activated, threads);
            layer.down.apply_on(activated, delta, threads);
            self.add_norm(x, delta, next, normed, threads);
        }
    }

    /// Norms of the heads where the model has them, then rotation, in place.
    fn rotate(&self, layer: &Layer, qkv: &mut [f32], cos: &[f32], sin: &[f32], threads: Threads) {
        let (stride, half) = (layer.qkv.outputs(), self.head_dim / 2);
        let keys_end = self.rotated * self.head_dim;
        let rotate = |qkv: &mut [f32], cos: &[f32], sin: &[f32]| {
            if let Some((q_norm, k_norm)) = &layer.qk_norm {
                for row in qkv.chunks_exact_mut(stride) {
                    rms_norm_heads(&mut row[..self.queries], q_norm, self.eps);
                    rms_norm_heads(&mut row[self.queries..keys_end], k_norm, self.eps);
                }
            }
            rotary_rows(qkv, stride, self.rotated, half, cos, sin);
        };
        let rows = qkv.len() / stride;
        let piece = piece(rows, stride, threads);
        if piece >= rows {
            return rotate(qkv, &cos[..rows * half], &sin[..rows * half]);
        }
        qkv.par_chunks_mut(piece * stride)
            .zip(
                cos.par_chunks(piece * half)
                    .zip(sin.par_chunks(piece * half)),
            )
            .for_each(|(qkv, (cos, sin))| rotate(qkv, cos, sin));
    }

    fn add_norm(
        &self,
        x: &mut [f32],
        delta: &[f32],
        weight: &[f32],
        normed: &mut [f32],
        threads: Threads,
    ) {
        let piece = piece(x.len() / self.hidden, self.hidden, threads) * self.hidden;
        if piece >= x.len() {
            return add_rms_norm_rows(x, delta, weight, self.eps, normed);
        }
        x.par_chunks_mut(piece)
            .zip(delta.par_chunks(piece).zip(normed.par_chunks_mut(piece)))
            .for_each(|(x, (delta, normed))| add_rms_norm_rows(x, delta, weight, self.eps, normed));
    }

    fn activate(&self, gate_up: &[f32], out: &mut [f32], threads: Threads) {
        let width = self.intermediate;
        // An exponential and a division weigh as much as four values of a norm.
        let piece = piece(out.len() / width, 4 * width, threads) * width;
        if piece >= out.len() {
            return swiglu_rows(gate_up, width, out);
        }
        out.par_chunks_mut(piece)
            .zip(gate_up.par_chunks(2 * piece))
            .for_each(|(out, gate_up)| swiglu_rows(gate_up, width, out));
    }
}

/// Rows that one thread takes.
fn piece(rows: usize, width: usize, threads: Threads) -> usize {
    match threads {
        Threads::Pool if rows * width >= 2 * ELEMENTS => {
            rows.div_ceil(rayon::current_num_threads()).max(1)
        }
        _ => rows.max(1),
    }
}
