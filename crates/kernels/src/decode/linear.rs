//! `y = x·Wᵀ + b` with bits that do not depend on the batch.
//!
//! Every output element is one chain of fused multiply-adds over `k = 0..inputs`, in order, that starts from the
//! bias. Register tiles, cache blocks and threads decide only *when* a link of a chain is computed, never the chain:
//! a row gives the same bits alone, in a batch of 256, on one thread or on many, and on every processor with FMA.
//! In bfloat16 a row does not depend on the others either, but on the processor's tiles.

use std::ops::Range;

use super::panels::Panels;
use super::parts::LinearPart;
#[cfg(target_arch = "x86_64")]
use super::parts::Stacked;
use super::product::Block;
#[cfg(target_arch = "x86_64")]
use super::spread::PARALLEL;
use super::spread::{self, Piece};
#[cfg(target_arch = "x86_64")]
use crate::gemm::{Mat, bf16};
use crate::precision::Precision;
#[cfg(target_arch = "x86_64")]
use crate::shared::Shared;
use crate::simd::{Isa, dispatch};
use crate::threads::Threads;

/// A weight `[outputs, inputs]` (as Hugging Face stores it) packed in panels of 64 outputs, with its bias.
#[derive(Clone)]
pub struct PackedLinear {
    panels: Panels,
    #[cfg(target_arch = "x86_64")]
    tiles: Option<bf16::Right>,
}

impl std::fmt::Debug for PackedLinear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "PackedLinear({} → {})",
            self.panels.inputs, self.panels.outputs
        )
    }
}

impl PackedLinear {
    /// Packs `weight` `[outputs, inputs]`, row-major.
    ///
    /// # Panics
    /// When a length does not fit the shape.
    pub fn new(weight: &[f32], outputs: usize, inputs: usize, bias: Option<&[f32]>) -> Self {
        Self::concat(&[(weight, outputs, bias)], inputs, Precision::F32)
    }

    /// Packs several weights `[outputs_i, inputs]` one under the other: one product for all of them, in f32, or in
    /// bfloat16 where this machine multiplies it.
    ///
    /// # Panics
    /// When a length does not fit its shape.
    pub fn concat(parts: &[LinearPart<'_>], inputs: usize, precision: Precision) -> Self {
        #[cfg(target_arch = "x86_64")]
        if precision == Precision::Bf16 && bf16::is_available() {
            return Self::in_bf16(parts, inputs);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = precision;
        Self {
            panels: Panels::concat(parts, inputs),
            #[cfg(target_arch = "x86_64")]
            tiles: None,
        }
    }

    /// Outputs of a row.
    pub fn outputs(&self) -> usize {
        self.panels.outputs
    }

    /// Inputs of a row.
    pub fn inputs(&self) -> usize {
        self.panels.inputs
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        let packed = self.panels.bytes();
        #[cfg(target_arch = "x86_64")]
        let packed = packed + self.tiles.as_ref().map_or(0, bf16::Right::bytes);
        packed
    }

    /// Copies row `output` of the weight (the embedding of a token, when the head is tied to it).
    ///
    /// # Panics
    /// When `output` is out of range or `row` is not `inputs` long.
    pub fn weight_row(&self, output: usize, row: &mut [f32]) {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        assert!(output < outputs, "row {output} of {outputs}");
        assert_eq!(row.len(), inputs, "a weight row has {inputs} values");
        #[cfg(target_arch = "x86_64")]
        if let Some(tiles) = &self.tiles {
            return tiles.column(output, row);
        }
        self.panels.weight_row(output, row);
    }

    /// `y [rows, outputs] = x [rows, inputs]·Wᵀ + b`, on the rayon pool when the product is large enough.
    ///
    /// # Panics
    /// When `x` and `y` are not the same number of whole rows.
    pub fn apply(&self, x: &[f32], y: &mut [f32]) {
        self.apply_on(x, y, Threads::Pool);
    }

    /// As [`apply`](Self::apply), with the choice of threads. The bits are the same.
    ///
    /// # Panics
    /// When `x` and `y` are not the same number of whole rows.
    pub fn apply_on(&self, x: &[f32], y: &mut [f32], threads: Threads) {
        self.apply_isa(x, y, threads, Isa::detect(), |_, _, _| {});
    }

    /// `then(rows, columns, y)` sees each piece of the result `y [rows, outputs]` as soon as it is there, on the thread
    /// that made it; columns begin with a panel.
    pub(super) fn apply_isa(
        &self,
        x: &[f32],
        y: &mut [f32],
        threads: Threads,
        isa: Isa,
        then: impl Fn(Range<usize>, Range<usize>, *const f32) + Sync,
    ) {
        #[cfg(target_arch = "x86_64")]
        if let Some(tiles) = &self.tiles {
            return self.apply_tiles(tiles, x, y, threads, then);
        }
        let item = |piece: Piece| {
            let block = Block {
                panels: &self.panels,
                panel: piece.panel,
                x: piece.x,
                y: piece.y,
                rows: piece.rows,
            };
            dispatch(isa, block);
        };
        spread::product((x, y), [self.inputs(), self.outputs()], threads, item, then);
    }
}

#[cfg(target_arch = "x86_64")]
impl PackedLinear {
    fn in_bf16(parts: &[LinearPart<'_>], inputs: usize) -> Self {
        let Stacked {
            rows,
            bias,
            outputs,
        } = Stacked::new(parts, inputs, crate::simd::LANES);
        let weight = rows.concat();
        let right = Mat::rows(&weight, inputs).t();
        // SAFETY: `Stacked` has `outputs` rows of `inputs` values; `concat` found the instructions.
        let tiles = unsafe { bf16::Right::pack(right, [inputs, outputs]) };
        let panels = Panels {
            lines: Vec::new(),
            bias,
            outputs,
            inputs,
        };
        Self {
            panels,
            tiles: Some(tiles),
        }
    }

    fn apply_tiles(
        &self,
        tiles: &bf16::Right,
        x: &[f32],
        y: &mut [f32],
        threads: Threads,
        then: impl Fn(Range<usize>, Range<usize>, *const f32) + Sync,
    ) {
        let Panels {
            bias,
            outputs,
            inputs,
            ..
        } = &self.panels;
        let (outputs, inputs) = (*outputs, *inputs);
        let rows = spread::rows(x, y, [inputs, outputs]);
        let threads = match rows * inputs * outputs >= PARALLEL {
            true => threads,
            false => Threads::One,
        };
        let left = Mat::rows(x, inputs);
        let (y, no_bias) = (Shared::new(y), bias.iter().all(|&bias| bias == 0.0));
        let piece = |rows: Range<usize>, columns: Range<usize>| {
            for row in rows.clone().skip_while(|_| no_bias) {
                // SAFETY: the piece is this thread's.
                let y = unsafe { y.rows(row * outputs + columns.start, columns.len()) };
                let bias = &bias[columns.clone()];
                y.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
            }
            then(rows, columns, y.first());
        };
        // SAFETY: the lengths were checked; tiles exist only where the instructions do.
        unsafe { tiles.product(rows, 1.0, left, 0.0, y.first(), outputs, threads, piece) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;
    use proptest::prelude::*;

    /// The definition: one chain per element.
    fn chain(weight: &[f32], inputs: usize, bias: Option<&[f32]>, x: &[f32]) -> Vec<f32> {
        let outputs = weight.len() / inputs;
        x.chunks(inputs)
            .flat_map(|row| {
                (0..outputs).map(move |o| {
                    let begin = bias.map_or(0.0, |b| b[o]);
                    row.iter()
                        .zip(&weight[o * inputs..])
                        .fold(begin, |sum, (x, w)| x.mul_add(*w, sum))
                })
            })
            .collect()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        #[cfg_attr(miri, ignore = "too large")]
        fn every_element_is_one_chain_on_every_instruction_set(
            rows in 1usize..40, inputs in 1usize..300, outputs in 1usize..200, with_bias: bool, seed: u64,
        ) {
            let weight = values(outputs * inputs, seed);
            let bias = with_bias.then(|| values(outputs, seed + 1));
            let x = values(rows * inputs, seed + 2);
            let expected = bits(&chain(&weight, inputs, bias.as_deref(), &x));
            let linear = PackedLinear::new(&weight, outputs, inputs, bias.as_deref());
            for isa in Isa::all() {
                for threads in [Threads::One, Threads::Pool] {
                    let mut y = vec![f32::NAN; rows * outputs];
                    linear.apply_isa(&x, &mut y, threads, isa, |_, _, _| {});
                    prop_assert_eq!(&bits(&y), &expected, "{:?} {:?}", isa, threads);
                }
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "too large")]
    fn a_row_has_the_same_bits_alone_and_among_others_on_any_number_of_threads() {
        let (rows, inputs, outputs) = (67, 520, 330);
        let linear = PackedLinear::new(&values(outputs * inputs, 1), outputs, inputs, None);
        let x = values(rows * inputs, 2);
        let mut together = vec![0.0; rows * outputs];
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| linear.apply(&x, &mut together));
            for row in [0, 1, 30, 66] {
                let mut alone = vec![0.0; outputs];
                linear.apply(&x[row * inputs..(row + 1) * inputs], &mut alone);
                assert_eq!(
                    bits(&alone),
                    bits(&together[row * outputs..(row + 1) * outputs])
                );
            }
        }
    }

    #[test]
    fn weights_one_under_the_other_give_their_outputs_one_after_the_other() {
        let (a, b) = (values(70 * 33, 3), values(9 * 33, 4));
        let bias = values(9, 5);
        let both =
            PackedLinear::concat(&[(&a, 70, None), (&b, 9, Some(&bias))], 33, Precision::F32);
        let x = values(33, 6);
        let mut y = vec![0.0; 79];
        both.apply(&x, &mut y);
        let (mut ya, mut yb) = (vec![0.0; 70], vec![0.0; 9]);
        PackedLinear::new(&a, 70, 33, None).apply(&x, &mut ya);
        PackedLinear::new(&b, 9, 33, Some(&bias)).apply(&x, &mut yb);
        assert_eq!(bits(&y), bits(&[ya, yb].concat()));
        let mut row = vec![0.0; 33];
        both.weight_row(72, &mut row);
        assert_eq!(row, b[2 * 33..3 * 33]);
    }
}
