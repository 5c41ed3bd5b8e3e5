//! Adding a branch by its gates.

use rayon::prelude::*;

use crate::op::{HostOp, INPUTS, Keep};

/// Gates of a query head.
pub const GATES: usize = 3;

/// Tokens of a task.
const TOKENS: usize = 64;

/// `1 / (1 + e^−x)`.
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `sum += σ(logits[h, branch])·part` for heads of `dim` values: what training and sampling share,
/// so that they give the same bits.
pub(super) fn add_gated(sum: &mut [f32], part: &[f32], logits: &[f32], branch: usize, dim: usize) {
    let heads = sum.chunks_exact_mut(dim).zip(part.chunks_exact(dim));
    for ((sum, part), logits) in heads.zip(logits.chunks_exact(GATES)) {
        let gate = sigmoid(logits[branch]);
        for (sum, part) in sum.iter_mut().zip(part) {
            *sum += gate * part;
        }
    }
}

/// `sum + σ(gate)·part`. Inputs: the part `[T, H, D]`, the logits of the gates `[T, 3·H]`, the sum
/// `[T, H, D]`, or nothing for zero.
#[derive(Debug)]
pub struct Gated {
    /// Tokens of the part.
    pub tokens: usize,
    /// Query heads of a token.
    pub heads: usize,
    /// Values of a head.
    pub dim: usize,
    /// Which of a head's gates.
    pub branch: usize,
}

impl Gated {
    fn width(&self) -> usize {
        self.heads * self.dim
    }
}

impl HostOp for Gated {
    fn shape(&self) -> Vec<usize> {
        vec![self.tokens, self.heads, self.dim]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep {
            inputs: [true, true, false],
            output: false,
        }
    }

    fn forward(&self, [part, logits, sum]: [&[f32]; INPUTS]) -> Vec<f32> {
        let mut output = match sum.is_empty() {
            true => vec![0.0; part.len()],
            false => sum.to_vec(),
        };
        let (width, gates) = (self.width(), GATES * self.heads);
        output
            .par_chunks_mut(TOKENS * width)
            .zip(part.par_chunks(TOKENS * width))
            .zip(logits.par_chunks(TOKENS * gates))
            .for_each(|((sum, part), logits)| {
                add_gated(sum, part, logits, self.branch, self.dim);
            });
        output
    }

    fn backward(
        &self,
        [part, logits, _]: [&[f32]; INPUTS],
        _: &[f32],
        grad: &[f32],
        wanted: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        let (width, gates) = (self.width(), GATES * self.heads);
        let mut d_part = vec![0.0; part.len()];
        let mut d_logits = vec![0.0; logits.len()];
        d_part
            .par_chunks_mut(width)
            .zip(d_logits.par_chunks_mut(gates))
            .enumerate()
            .with_min_len(TOKENS)
            .for_each(|(token, (d_part, d_logits))| {
                let (at, logits) = (token * width, &logits[token * gates..]);
                let (part, grad) = (&part[at..][..width], &grad[at..][..width]);
                for head in 0..self.heads {
                    let (gate, own) = (head * GATES + self.branch, head * self.dim);
                    let own = own..own + self.dim;
                    let share = sigmoid(logits[gate]);
                    let (part, grad) = (&part[own.clone()], &grad[own.clone()]);
                    let dot: f32 = part.iter().zip(grad).map(|(p, g)| p * g).sum();
                    d_logits[gate] = dot * share * (1.0 - share);
                    for (d, g) in d_part[own].iter_mut().zip(grad) {
                        *d = share * g;
                    }
                }
            });
        let d_sum = match wanted[2] {
            true => grad.to_vec(),
            false => Vec::new(),
        };
        [d_part, d_logits, d_sum]
    }
}
