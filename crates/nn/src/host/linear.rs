//! `y = x·Wᵀ + b` with bits that do not depend on the batch.
//!
//! Every output element is one chain of fused multiply-adds over `k = 0..inputs`, in order, that starts from the
//! bias. Register tiles, cache blocks and threads decide only *when* a link of a chain is computed, never the chain:
//! a row gives the same bits alone, in a batch of 256, on one thread or on many, and on every processor with FMA.
//! In bfloat16 a row does not depend on the others either, but on the processor's tiles.

use super::lines::Line;
use super::product::Block;
use super::simd::{Isa, LANES, dispatch};
use super::spread::{self, Piece};
#[cfg(target_arch = "x86_64")]
use super::spread::{Output, PARALLEL};
use crate::Precision;
#[cfg(target_arch = "x86_64")]
use crate::bf16::Right;
#[cfg(target_arch = "x86_64")]
use crate::gemm::Mat;
use rayon::prelude::*;
use std::ops::Range;

/// Outputs of one panel: four AVX-512 registers.
pub(super) const PANEL: usize = 64;

/// Whether a function may use the rayon pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread alone: for callers that already run on every thread.
    One,
    /// The current rayon pool, where the work is large enough.
    Pool,
}

/// A weight `[outputs, inputs]`, its number of outputs, and its bias.
pub type LinearPart<'a> = (&'a [f32], usize, Option<&'a [f32]>);

/// Several weights one under the other.
pub(super) struct Stacked<'a> {
    /// The weights of each output.
    pub(super) rows: Vec<&'a [f32]>,
    /// Bias, or zeros, up to whole units of outputs.
    pub(super) bias: Vec<f32>,
    pub(super) outputs: usize,
}

impl<'a> Stacked<'a> {
    /// # Panics
    /// When a length does not fit its shape.
    pub(super) fn new(parts: &[LinearPart<'a>], inputs: usize, unit: usize) -> Self {
        let outputs = parts.iter().map(|part| part.1).sum::<usize>();
        let mut bias = vec![0.0; outputs.next_multiple_of(unit)];
        let mut rows: Vec<&[f32]> = Vec::with_capacity(outputs);
        for &(weight, count, part_bias) in parts {
            assert_eq!(
                weight.len(),
                count * inputs,
                "weight of {count} outputs and {inputs} inputs"
            );
            if let Some(values) = part_bias {
                assert_eq!(values.len(), count, "bias of {count} outputs");
                bias[rows.len()..rows.len() + count].copy_from_slice(values);
            }
            rows.extend((0..count).map(|i| &weight[i * inputs..(i + 1) * inputs]));
        }
        Self {
            rows,
            bias,
            outputs,
        }
    }
}

/// A weight `[outputs, inputs]` (as Hugging Face stores it) packed in panels of 64 outputs, with its bias.
#[derive(Clone)]
pub struct PackedLinear {
    /// Panel after panel `[inputs][64]`; the last panel is as narrow as a multiple of sixteen allows.
    /// Empty in bfloat16.
    pub(super) panels: Vec<Line>,
    #[cfg(target_arch = "x86_64")]
    tiles: Option<Right>,
    /// Bias, or zeros, up to a multiple of sixteen.
    pub(super) bias: Vec<f32>,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
}

impl std::fmt::Debug for PackedLinear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackedLinear({} → {})", self.inputs, self.outputs)
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
        let Stacked {
            rows,
            bias,
            outputs,
        } = Stacked::new(parts, inputs, LANES);
        let padded = bias.len();
        #[cfg(target_arch = "x86_64")]
        if precision == Precision::Bf16 && crate::bf16::is_available() {
            let weight = rows.concat();
            // SAFETY: `[outputs, inputs]` values; available.
            let tiles = unsafe { Right::pack(Mat::rows(&weight, inputs).t(), [inputs, outputs]) };
            return Self {
                panels: Vec::new(),
                tiles: Some(tiles),
                bias,
                outputs,
                inputs,
            };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = precision;
        let mut panels = vec![Line::ZERO; padded / LANES * inputs];
        let per_panel = (PANEL / LANES * inputs).max(1);
        panels
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
            panels,
            #[cfg(target_arch = "x86_64")]
            tiles: None,
            bias,
            outputs,
            inputs,
        }
    }

    /// Outputs of a row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Inputs of a row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        if let Some(tiles) = &self.tiles {
            return tiles.bytes() + self.bias.len() * size_of::<f32>();
        }
        self.panels.len() * size_of::<Line>() + self.bias.len() * size_of::<f32>()
    }

    /// Copies row `output` of the weight (the embedding of a token, when the head is tied to it).
    ///
    /// # Panics
    /// When `output` is out of range or `row` is not `inputs` long.
    pub fn weight_row(&self, output: usize, row: &mut [f32]) {
        assert!(output < self.outputs, "row {output} of {}", self.outputs);
        assert_eq!(
            row.len(),
            self.inputs,
            "a weight row has {} values",
            self.inputs
        );
        #[cfg(target_arch = "x86_64")]
        if let Some(tiles) = &self.tiles {
            return tiles.column(output, row);
        }
        let (panel, o) = (output / PANEL, output % PANEL);
        let vectors = self.vectors(panel);
        let lines = &self.panels[panel * (PANEL / LANES) * self.inputs..];
        for (k, value) in row.iter_mut().enumerate() {
            *value = lines[k * vectors + o / LANES].0[o % LANES];
        }
    }

    /// Vectors of sixteen outputs in a panel.
    pub(super) fn vectors(&self, panel: usize) -> usize {
        (self.bias.len() / LANES - panel * (PANEL / LANES)).min(PANEL / LANES)
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
                linear: self,
                panel: piece.panel,
                x: piece.x,
                y: piece.y,
                rows: piece.rows,
            };
            dispatch(isa, block);
        };
        spread::product((x, y), [self.inputs, self.outputs], threads, item, then);
    }
}

#[cfg(target_arch = "x86_64")]
impl PackedLinear {
    fn apply_tiles(
        &self,
        tiles: &Right,
        x: &[f32],
        y: &mut [f32],
        threads: Threads,
        then: impl Fn(Range<usize>, Range<usize>, *const f32) + Sync,
    ) {
        let rows = spread::rows(x, y, [self.inputs, self.outputs]);
        let threads = match rows * self.inputs * self.outputs >= PARALLEL {
            true => threads,
            false => Threads::One,
        };
        let left = Mat::rows(x, self.inputs);
        let (y, no_bias) = (
            Output(y.as_mut_ptr()),
            self.bias.iter().all(|&bias| bias == 0.0),
        );
        let piece = |rows: Range<usize>, columns: Range<usize>| {
            let y = &y;
            for row in rows.clone().skip_while(|_| no_bias) {
                // SAFETY: the piece is this thread's.
                let y = unsafe {
                    let y = y.0.add(row * self.outputs + columns.start);
                    std::slice::from_raw_parts_mut(y, columns.len())
                };
                let bias = &self.bias[columns.clone()];
                y.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
            }
            then(rows, columns, y.0);
        };
        // SAFETY: the lengths were checked; tiles exist only where the instructions do.
        unsafe { tiles.product(rows, 1.0, left, 0.0, y.0, self.outputs, threads, piece) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::values;
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
