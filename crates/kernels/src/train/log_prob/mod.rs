//! Log-probability, entropy and divergence from a second distribution, from hidden states, without
//! keeping `[N, V]`.
//!
//! With `l = h·wᵀ/T`, `z = log Σ exp l`, `p = exp(l − z)` and `H = z − Σ p·l`:
//! `∂ log p_t/∂l_j = [j = t] − p_j` and `∂H/∂l_j = −p_j·(l_j − z + H)`. With `q` of a second model's
//! hidden states and head, which have no gradient, and `D = Σ p·(log p − log q)`:
//! `∂D/∂l_j = p_j·(log p_j − log q_j − D)`; the other way round, `D = Σ q·(log q − log p)` and
//! `∂D/∂l_j = p_j − q_j`. The backward pass computes the logits again, chunk by
//! chunk, but for the first [`KEPT`] of `l`.

mod rows;

use std::fmt::Debug;
use std::sync::{Mutex, OnceLock};

use rayon::prelude::*;

use crate::gemm::{Mat, Right, product};
use crate::op::{HostOp, INPUTS, Keep};
use crate::precision::Precision;
use crate::simd::{Isa, dispatch};
use rows::{Divergence, Slopes, SlopesApart, SlopesTowards, Sums};

/// Logits held at once, in elements: 16 MiB, …
const CHUNK: usize = 4 << 20;
/// … or so many rows, whichever is more: each chunk adds to the whole gradient of the weight, so a chunk of
/// few rows of a large vocabulary is all memory traffic (256 rows of 151,936 are 148 MiB).
const LEAST_ROWS: usize = 256;

/// Logits that wait for the backward pass, in elements: 64 MiB, whatever the batch. At 2,048 tokens of
/// a vocabulary of 8,192 that saves a fifteenth of a training step.
const KEPT: usize = 16 << 20;

/// An array in host memory that an operator reads beside its inputs and that has no gradient.
pub trait HostArray: Debug + Send + Sync {
    /// The values, row-major.
    fn elements(&self) -> &[f32];
}

/// Which way a divergence from a second distribution `q` is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KlDirection {
    /// `KL(p ‖ q) = Σ p·(log p − log q)`, as reinforcement learning takes it.
    #[default]
    Reverse,
    /// `KL(q ‖ p) = Σ q·(log q − log p)`, as distillation takes it.
    Forward,
}

/// A second distribution over the same vocabulary.
#[derive(Debug)]
pub struct Second {
    hidden: Box<dyn HostArray>,
    weight: Box<dyn HostArray>,
    width: usize,
    direction: KlDirection,
    /// Logarithm of its normaliser at each row, from the forward pass.
    log_z: OnceLock<Vec<f32>>,
}

impl Second {
    /// That of hidden states `[n, width]` and a head `[vocabulary, width]`; the width is the second model's own.
    pub fn new(
        hidden: Box<dyn HostArray>,
        weight: Box<dyn HostArray>,
        width: usize,
        direction: KlDirection,
    ) -> Self {
        Self {
            hidden,
            weight,
            width,
            direction,
            log_z: OnceLock::new(),
        }
    }
}

/// Inputs: h `[n, width]`, w `[vocabulary, width]`; result `[2, n]`: log-probabilities, entropies; or
/// `[3, n]` with the divergences from a second distribution.
#[derive(Debug)]
pub struct LogProb {
    width: usize,
    vocabulary: usize,
    targets: Vec<u32>,
    temperature: f32,
    precision: Precision,
    second: Option<Second>,
    /// `z` of each row, from the forward pass.
    log_z: OnceLock<Vec<f32>>,
    recorded: bool,
    /// Logits of the first chunks.
    kept: Mutex<Vec<Vec<f32>>>,
}

impl LogProb {
    /// For a weight of this shape. `recorded` says whether a backward pass may follow.
    pub fn new(
        [vocabulary, width]: [usize; 2],
        targets: Vec<u32>,
        temperature: f32,
        precision: Precision,
        second: Option<Second>,
        recorded: bool,
    ) -> Self {
        Self {
            width,
            vocabulary,
            targets,
            temperature,
            precision,
            second,
            log_z: OnceLock::new(),
            recorded,
            kept: Mutex::default(),
        }
    }

    fn rows(&self) -> usize {
        let rows = (CHUNK / self.vocabulary).max(LEAST_ROWS);
        rows.clamp(1, self.targets.len().max(1))
    }

    /// The weight as the right factor of logits.
    fn head<'w>(&self, w: &'w [f32]) -> Right<'w> {
        self.right(w, self.width)
    }

    /// The weight of the second distribution, where there is one.
    fn second_head(&self) -> Option<Right<'_>> {
        let second = self.second.as_ref()?;
        Some(self.right(second.weight.elements(), second.width))
    }

    fn right<'w>(&self, w: &'w [f32], width: usize) -> Right<'w> {
        let weight = Mat::rows(w, width).t();
        Right::new(self.precision, weight, [width, self.vocabulary])
    }

    fn logits(&self, h: &[f32], head: &Right) -> Vec<f32> {
        self.product(h, head, self.width)
    }

    /// Logits of the second distribution in some rows.
    fn second_logits(
        &self,
        second: &Second,
        head: &Right,
        rows: std::ops::Range<usize>,
    ) -> Vec<f32> {
        let width = second.width;
        let h = &second.hidden.elements()[rows.start * width..rows.end * width];
        self.product(h, head, width)
    }

    fn product(&self, h: &[f32], head: &Right, width: usize) -> Vec<f32> {
        head.matrix(h.len() / width, 1.0 / self.temperature, Mat::rows(h, width))
    }

    /// Divergences of the rows from `start` on from the second distribution with this `head`, whose logits and normalisers these are.
    fn divergences(
        &self,
        head: Option<&Right>,
        start: usize,
        logits: &[f32],
        log_z: &[f32],
        out: &mut [f32],
    ) -> Vec<f32> {
        let Some((second, head)) = self.second.as_ref().zip(head) else {
            return Vec::new();
        };
        let others = self.second_logits(second, head, start..start + log_z.len());
        let mut other_z = vec![0.0; log_z.len()];
        logits
            .par_chunks(self.vocabulary)
            .zip(others.par_chunks(self.vocabulary))
            .zip(log_z.par_iter().zip(&mut other_z).zip(out))
            .for_each(|((row, other), ((&z, other_z), out))| {
                let [sum, _, max] = dispatch(Isa::detect(), Sums { row: other });
                *other_z = max + sum.ln();
                let (row, other, z, other_z) = match second.direction {
                    KlDirection::Reverse => (row, other, z, *other_z),
                    KlDirection::Forward => (other, row, *other_z, z),
                };
                let shift = z - other_z;
                *out = dispatch(
                    Isa::detect(),
                    Divergence {
                        row,
                        other,
                        z,
                        shift,
                    },
                );
            });
        other_z
    }
}

impl HostOp for LogProb {
    fn shape(&self) -> Vec<usize> {
        vec![2 + usize::from(self.second.is_some()), self.targets.len()]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::ALL
    }

    fn forward(&self, [h, w, _]: [&[f32]; INPUTS]) -> Vec<f32> {
        let mut room = match self.recorded {
            true => KEPT,
            false => 0,
        };
        let mut kept = Vec::new();
        let n = self.targets.len();
        let mut out = vec![0.0; self.shape()[0] * n];
        let (mut log_z, mut other_z) = (vec![0.0; n], Vec::new());
        let (log_prob, rest) = out.split_at_mut(n);
        let (entropy, kl) = rest.split_at_mut(n);
        let rows = self.rows();
        let (head, second_head) = (self.head(w), self.second_head());
        let results = log_prob.chunks_mut(rows).zip(entropy.chunks_mut(rows));
        let chunks = h.chunks(rows * self.width).zip(self.targets.chunks(rows));
        for ((results, z), (h, targets)) in results.zip(log_z.chunks_mut(rows)).zip(chunks) {
            let logits = self.logits(h, &head);
            logits
                .par_chunks(self.vocabulary)
                .zip(results.0.par_iter_mut().zip(results.1).zip(&mut *z))
                .zip(targets)
                .for_each(|((row, ((log_prob, entropy), z)), &target)| {
                    let at_target = row[target as usize];
                    let [sum, weighted, max] = dispatch(Isa::detect(), Sums { row });
                    *z = max + sum.ln();
                    *log_prob = at_target - *z;
                    // Σ p·l = max + Σ p·(l − max)
                    *entropy = *z - max - weighted / sum;
                });
            let done = other_z.len();
            let kl = kl.get_mut(done..done + z.len()).unwrap_or_default();
            other_z.extend(self.divergences(second_head.as_ref(), done, &logits, z, kl));
            if logits.len() <= room {
                room -= logits.len();
                kept.push(logits);
            } else {
                room = 0;
            }
        }
        if let Some(second) = &self.second {
            let _ = second.log_z.set(other_z);
        }
        let _ = self.log_z.set(log_z);
        if let Ok(mut place) = self.kept.lock() {
            *place = kept;
        }
        out
    }

    fn backward(
        &self,
        [h, w, _]: [&[f32]; INPUTS],
        output: &[f32],
        grad: &[f32],
        [want_h, want_w, _]: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        let n = self.targets.len();
        let (entropy, kl) = output[n..].split_at(n);
        let (d_log_prob, rest) = grad.split_at(n);
        let (d_entropy, d_kl) = rest.split_at(n);
        let kept = "the forward pass of this call kept it";
        let log_z = self.log_z.get().expect(kept);
        let second = self
            .second
            .as_ref()
            .map(|second| (second, second.log_z.get().expect(kept)));
        let mut dh = vec![0.0; if want_h { h.len() } else { 0 }];
        let mut dw = vec![0.0; if want_w { w.len() } else { 0 }];
        let kept = self.kept.lock().map(|mut kept| std::mem::take(&mut *kept));
        let mut kept = kept.unwrap_or_default().into_iter();
        let rows = self.rows();
        let mut head = None;
        let second_head = self.second_head();
        let back = want_h.then(|| {
            let w = Mat::rows(w, self.width);
            Right::new(self.precision, w, [self.vocabulary, self.width])
        });
        for start in (0..n).step_by(rows) {
            let range = start..n.min(start + rows);
            let count = range.len();
            let part = &h[range.start * self.width..range.end * self.width];
            let mut logits = kept.next().unwrap_or_else(|| {
                let head = head.get_or_insert_with(|| self.head(w));
                self.logits(part, head)
            });
            let others = second
                .zip(second_head.as_ref())
                .map(|((second, _), head)| self.second_logits(second, head, range.clone()));
            logits
                .par_chunks_mut(self.vocabulary)
                .zip(range.clone())
                .for_each(|(row, i)| {
                    let (z, t) = (log_z[i], self.temperature);
                    let (a, b) = (d_log_prob[i] / t, d_entropy[i] / t);
                    let entropy = entropy[i];
                    let slopes = Slopes {
                        row,
                        z,
                        a,
                        b,
                        entropy,
                    };
                    let Some((others, (second, other_z))) = others.as_ref().zip(second) else {
                        dispatch(Isa::detect(), slopes);
                        row[self.targets[i] as usize] += a;
                        return;
                    };
                    let at = (i - range.start) * self.vocabulary;
                    let other = &others[at..at + self.vocabulary];
                    let (c, other_z) = (d_kl[i] / t, other_z[i]);
                    match second.direction {
                        KlDirection::Reverse => dispatch(
                            Isa::detect(),
                            SlopesApart {
                                slopes,
                                other,
                                c,
                                shift: z - other_z,
                                kl: kl[i],
                            },
                        ),
                        KlDirection::Forward => dispatch(
                            Isa::detect(),
                            SlopesTowards {
                                slopes,
                                other,
                                other_z,
                                c,
                            },
                        ),
                    }
                    row[self.targets[i] as usize] += a;
                });
            let d = Mat::rows(&logits, self.vocabulary);
            if let Some(back) = &back {
                let out = &mut dh[range.start * self.width..];
                back.product(count, 1.0, d, 0.0, out);
            }
            if want_w {
                let shape = [self.vocabulary, count, self.width];
                let x = Mat::rows(part, self.width);
                product(self.precision, shape, 1.0, d.t(), x, 1.0, &mut dw);
            }
        }
        [dh, dw, Vec::new()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_that_waited_and_logits_computed_again_give_the_same_bits() {
        let (width, vocabulary, n) = match cfg!(miri) {
            true => (3, 50, 5),
            false => (24, 300, 17),
        };
        let values = |count: usize, step: usize| -> Vec<f32> {
            let value = |i: usize| ((i * step) % 97) as f32 / 48.0 - 1.0;
            (0..count).map(value).collect()
        };
        let (h, w) = (values(n * width, 31), values(vocabulary * width, 53));
        let grad = values(2 * n, 7);
        for precision in [Precision::F32, Precision::Bf16] {
            let [kept, again] = [true, false].map(|recorded| {
                let targets = (0..n as u32).map(|i| i * 11).collect();
                let op = LogProb::new([vocabulary, width], targets, 0.8, precision, None, recorded);
                let output = op.forward([&h, &w, &[]]);
                assert_eq!(op.kept.lock().unwrap().is_empty(), !recorded);
                op.backward([&h, &w, &[]], &output, &grad, [true, true, false])
            });
            assert_eq!(kept, again, "{precision:?}");
        }
    }
}
