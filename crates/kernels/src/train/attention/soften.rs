//! Row-wise parts of attention: soft-max of the scores and its backward.

use super::plan::{Block, Chunk};
use crate::simd::{Kernel, LANES, Lanes};

/// Score of a key that is not seen: `e^HIDDEN = 0`.
const HIDDEN: f32 = -1e30;

/// What is known of a query's soft-max so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    /// Largest score.
    pub max: f32,
    /// `Σ exp(score − max)`.
    pub sum: f32,
    /// Factor that makes what was added up before this chunk relative to `max`.
    pub rescale: f32,
}

impl State {
    pub(super) const START: Self = Self {
        max: f32::NEG_INFINITY,
        sum: 0.0,
        rescale: 0.0,
    };
}

/// Scores of a chunk to `exp(score − max)`, row by row.
pub(super) struct SoftMax<'a> {
    pub block: Block,
    pub chunk: &'a Chunk,
    /// `[block.len, chunk.stride]`
    pub scores: &'a mut [f32],
    pub states: &'a mut [State],
}

impl Kernel for SoftMax<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let width = self.chunk.width;
        let rows = self
            .scores
            .chunks_exact_mut(self.chunk.stride)
            .zip(self.states);
        for (row, (scores, state)) in rows.enumerate() {
            for piece in &self.chunk.pieces {
                let seen = piece.seen(self.block.offset + row);
                scores[piece.column + seen..piece.column + piece.width].fill(HIDDEN);
            }
            let x = scores.as_mut_ptr();
            // SAFETY: the width is a whole number of vectors; the caller has the instructions.
            unsafe {
                // `largest` ignores numbers that are none; the second sum does not.
                let (mut top, mut poison) = (S::splat(HIDDEN), S::splat(0.0));
                for at in (0..width).step_by(LANES) {
                    let score = S::load(x.add(at));
                    top = top.max(score);
                    poison = score.fma(S::splat(0.0), poison);
                }
                let max = top.largest().max(state.max) + poison.sum();
                let mut sums = S::splat(0.0);
                for at in (0..width).step_by(LANES) {
                    let e = S::load(x.add(at)).sub(S::splat(max)).exp();
                    e.store(x.add(at));
                    sums = sums.add(e);
                }
                let rescale = if state.sum == 0.0 {
                    0.0
                } else {
                    (state.max - max).exp()
                };
                *state = State {
                    max,
                    sum: state.sum * rescale + sums.sum(),
                    rescale,
                };
            }
        }
    }
}

/// Rows of one head times a factor each.
pub(super) struct Scale<'a> {
    pub out: *mut f32,
    pub out_row: usize,
    pub dim: usize,
    pub states: &'a [State],
    /// `1/sum`, or `rescale`.
    pub finish: bool,
}

impl Kernel for Scale<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        for (row, state) in self.states.iter().enumerate() {
            // 0·max is not a number when the largest score is none.
            let factor = if self.finish {
                1.0 / state.sum + 0.0 * state.max
            } else {
                state.rescale
            };
            // SAFETY: the rows exist; the caller has the instructions.
            unsafe {
                let out = self.out.add(row * self.out_row);
                for at in (0..self.dim).step_by(LANES) {
                    let n = LANES.min(self.dim - at);
                    S::load_part(out.add(at), n)
                        .mul(S::splat(factor))
                        .store_part(out.add(at), n);
                }
            }
        }
    }
}

/// Scores to probabilities `p`, and `dP` to `dS = p∘(dP − Σ do·o)`; 0 where a key is not seen.
pub(super) struct Slopes<'a> {
    pub block: Block,
    pub chunk: &'a Chunk,
    /// `[block.len, chunk.stride]`
    pub p: &'a mut [f32],
    /// `[block.len, chunk.stride]`
    pub ds: &'a mut [f32],
    /// Log-sum-exp of each row.
    pub log_z: &'a [f32],
    /// `Σ do·o` of each row.
    pub delta: &'a [f32],
}

impl Kernel for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let stride = self.chunk.stride;
        for row in 0..self.block.len {
            // SAFETY: both arrays have the row; the caller has the instructions.
            unsafe {
                let p = self.p.as_mut_ptr().add(row * stride);
                let ds = self.ds.as_mut_ptr().add(row * stride);
                let (z, delta) = (S::splat(self.log_z[row]), S::splat(self.delta[row]));
                for piece in &self.chunk.pieces {
                    let seen = piece.seen(self.block.offset + row);
                    let mut at = 0;
                    while at < piece.width {
                        let (p, ds) = (p.add(piece.column + at), ds.add(piece.column + at));
                        let n = seen.saturating_sub(at).min(LANES);
                        let prob = S::load(p).sub(z).exp();
                        let slope = prob.mul(S::load(ds).sub(delta));
                        prob.store(p);
                        slope.store(ds);
                        for lane in n..LANES {
                            *p.add(lane) = 0.0;
                            *ds.add(lane) = 0.0;
                        }
                        at += LANES;
                    }
                }
            }
        }
    }
}

/// `Σ do·o` of each row of one head.
pub(super) struct Dots<'a> {
    pub o: *const f32,
    pub d_o: *const f32,
    pub row: usize,
    pub dim: usize,
    pub delta: &'a mut [f32],
}

impl Kernel for Dots<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        for (row, delta) in self.delta.iter_mut().enumerate() {
            // SAFETY: the rows exist; the caller has the instructions.
            unsafe {
                let (o, d_o) = (self.o.add(row * self.row), self.d_o.add(row * self.row));
                let mut sum = S::splat(0.0);
                for at in (0..self.dim).step_by(LANES) {
                    let n = LANES.min(self.dim - at);
                    sum = S::load_part(o.add(at), n).fma(S::load_part(d_o.add(at), n), sum);
                }
                *delta = sum.sum();
            }
        }
    }
}
