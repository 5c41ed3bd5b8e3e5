//! `y = x·Wᵀ + b` with weights of eight bits and everything else in f32.
//!
//! An output's weights share one scale, `s = max |w| / 127`; a weight is kept as `q = round(w / s)`. An element is
//! `s · Σ x·q + b`: one chain of fused multiply-adds over the inputs, in order, from 0, then one more with scale and
//! bias. As in [`PackedLinear`](super::PackedLinear) a row does not depend on its neighbours, on threads or on the
//! instruction set. What is won is memory traffic: a quarter of f32's, which bounds small batches.
//!
//! Symmetric, per output channel, weights only: "W8A16" of vLLM and LLM.int8() without outliers (arXiv 2208.07339).

use super::panels::PANEL;
use super::parts::{LinearPart, Stacked};
use super::product::Tile;
use super::spread::{self, Piece};
use crate::simd::{Isa, Kernel, LANES, Lanes, dispatch};
use crate::threads::Threads;
use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

/// Inputs that are converted at once for several tiles of rows: 16 KiB of f32, half of a first-level cache.
const DEPTH: usize = 64;
/// Rows whose products are taken straight from the bytes.
const DIRECT: usize = 6;
/// Cache lines that a stream of weights is fetched ahead (2 KiB).
const AHEAD: usize = 32;
/// The largest magnitude of a weight.
const LARGEST: f32 = 127.0;

thread_local! {
    /// Weights of one cache block as f32, `[DEPTH][64]`.
    static SLAB: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The weights of one input of a panel: a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bytes([i8; PANEL]);

/// A weight `[outputs, inputs]` in eight bits, packed in panels of 64 outputs, with its bias.
#[derive(Clone)]
pub struct Int8Linear {
    /// Panel after panel `[inputs][64]`; outputs that do not exist have zeros.
    panels: Vec<Bytes>,
    /// Of each output, up to whole panels.
    scales: Vec<f32>,
    bias: Vec<f32>,
    outputs: usize,
    inputs: usize,
}

impl std::fmt::Debug for Int8Linear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Int8Linear({} → {})", self.inputs, self.outputs)
    }
}

impl Int8Linear {
    /// Rounds several weights `[outputs_i, inputs]` one under the other. An output with a weight that is no finite
    /// number is NaN for every row.
    ///
    /// # Panics
    /// When a length does not fit its shape.
    pub fn concat(parts: &[LinearPart<'_>], inputs: usize) -> Self {
        let Stacked {
            rows,
            bias,
            outputs,
        } = Stacked::new(parts, inputs, PANEL);
        let padded = bias.len();
        let mut scales = vec![0.0; padded];
        let mut panels = vec![Bytes([0; PANEL]); padded / PANEL * inputs];
        panels
            .par_chunks_mut(inputs.max(1))
            .zip(scales.par_chunks_mut(PANEL))
            .zip(rows.par_chunks(PANEL))
            .for_each(|((panel, scales), rows)| {
                for (o, (row, scale)) in rows.iter().zip(scales).enumerate() {
                    *scale = scale_of(row);
                    for (line, &weight) in panel.iter_mut().zip(*row) {
                        line.0[o] = quantize(weight, *scale);
                    }
                }
            });
        Self {
            panels,
            scales,
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
        size_of_val(self.panels.as_slice())
            + size_of_val(self.scales.as_slice())
            + size_of_val(self.bias.as_slice())
    }

    /// Row `output` of the weight as the products see it.
    ///
    /// # Panics
    /// When `output` is out of range or `row` is not `inputs` long.
    pub fn weight_row(&self, output: usize, row: &mut [f32]) {
        assert!(output < self.outputs, "row {output} of {}", self.outputs);
        assert_eq!(row.len(), self.inputs, "values of a weight row");
        let (panel, o) = (output / PANEL, output % PANEL);
        let lines = &self.panels[panel * self.inputs..][..self.inputs];
        for (value, line) in row.iter_mut().zip(lines) {
            *value = f32::from(line.0[o]) * self.scales[output];
        }
    }

    /// `y [rows, outputs] = x [rows, inputs]·Wᵀ + b`; the bits do not depend on `threads`.
    ///
    /// # Panics
    /// When `x` and `y` are not the same number of whole rows.
    pub fn apply_on(&self, x: &[f32], y: &mut [f32], threads: Threads) {
        self.apply_isa(x, y, threads, Isa::detect(), |_, _, _| {});
    }

    /// As [`PackedLinear::apply_isa`](super::PackedLinear).
    pub(super) fn apply_isa(
        &self,
        x: &[f32],
        y: &mut [f32],
        threads: Threads,
        isa: Isa,
        then: impl Fn(Range<usize>, Range<usize>, *const f32) + Sync,
    ) {
        let item = |piece: Piece| {
            SLAB.with_borrow_mut(|slab| {
                slab.resize(DEPTH * PANEL, 0.0);
                let block = Block {
                    linear: self,
                    panel: piece.panel,
                    x: piece.x,
                    y: piece.y,
                    rows: piece.rows,
                    slab: slab.as_mut_ptr(),
                };
                dispatch(isa, block);
            });
        };
        spread::product((x, y), [self.inputs, self.outputs], threads, item, then);
    }

    /// Vectors of sixteen outputs in a panel.
    fn vectors(&self, panel: usize) -> usize {
        (self.outputs - panel * PANEL)
            .div_ceil(LANES)
            .min(PANEL / LANES)
    }
}

/// NaN when a weight is not finite: the products then say so.
fn scale_of(row: &[f32]) -> f32 {
    let largest = row.iter().fold(0.0f32, |most, w| most.max(w.abs()));
    match row.iter().all(|w| w.is_finite()) {
        true => largest / LARGEST,
        false => f32::NAN,
    }
}

fn quantize(weight: f32, scale: f32) -> i8 {
    match scale > 0.0 {
        // Weights so small that their scale is not a normal number may lie beyond it.
        true => (weight / scale).round_ties_even().clamp(-LARGEST, LARGEST) as i8,
        false => 0,
    }
}

/// The product of some rows with one panel.
struct Block<'a> {
    linear: &'a Int8Linear,
    panel: usize,
    x: *const f32,
    y: *mut f32,
    rows: usize,
    /// `[DEPTH][64]`, for this block alone.
    slab: *mut f32,
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let vectors = self.linear.vectors(self.panel);
        // SAFETY: the item covers rows and outputs that exist.
        unsafe {
            if self.rows > DIRECT {
                return self.converted::<S>(vectors);
            }
            if !S::WIDE && self.rows > 1 {
                for v in 0..vectors {
                    self.direct::<S, 1>(v);
                }
                return;
            }
            match vectors {
                4 => self.direct::<S, 4>(0),
                3 => self.direct::<S, 3>(0),
                2 => self.direct::<S, 2>(0),
                _ => self.direct::<S, 1>(0),
            }
        }
    }
}

impl Block<'_> {
    /// At most six rows, `N` vectors of outputs from vector `v` on.
    #[inline(always)]
    unsafe fn direct<S: Lanes, const N: usize>(&self, v: usize) {
        // SAFETY: as the caller.
        unsafe {
            match self.rows {
                1 => self.direct_rows::<S, 1, N>(v),
                2 => self.direct_rows::<S, 2, N>(v),
                3 => self.direct_rows::<S, 3, N>(v),
                4 => self.direct_rows::<S, 4, N>(v),
                5 => self.direct_rows::<S, 5, N>(v),
                6 => self.direct_rows::<S, 6, N>(v),
                _ => {}
            }
        }
    }

    #[inline(always)]
    unsafe fn direct_rows<S: Lanes, const R: usize, const N: usize>(&self, v: usize) {
        let linear = self.linear;
        let inputs = linear.inputs;
        // SAFETY: the panel has a line for each input, `R` rows of `x` have `inputs` values.
        unsafe {
            let mut w = self.bytes(0).add(v * LANES);
            let mut sums = [[S::splat(0.0); N]; R];
            for k in 0..inputs {
                S::prefetch(w.wrapping_add(AHEAD * PANEL).cast());
                let mut weights = [S::splat(0.0); N];
                for (n, weight) in weights.iter_mut().enumerate() {
                    *weight = S::load_i8(w.add(n * LANES));
                }
                for (r, row) in sums.iter_mut().enumerate() {
                    let x = S::splat(*self.x.add(r * inputs + k));
                    for (n, sum) in row.iter_mut().enumerate() {
                        *sum = x.fma(weights[n], *sum);
                    }
                }
                w = w.wrapping_add(PANEL);
            }
            for (r, row) in sums.iter().enumerate() {
                for (n, sum) in row.iter().enumerate() {
                    self.finish(*sum, r, v + n);
                }
            }
        }
    }

    /// Any number of rows: weights become f32 once for all of them, [`DEPTH`] inputs at a time.
    #[inline(always)]
    unsafe fn converted<S: Lanes>(&self, vectors: usize) {
        let linear = self.linear;
        let (inputs, outputs) = (linear.inputs, linear.outputs);
        let zeros = [0.0f32; PANEL];
        let tallest = if vectors == 4 || !S::WIDE { 6 } else { 8 };
        let tiles = self.rows.div_ceil(tallest);
        // Vectors of outputs that a tile takes at once.
        let step = if S::WIDE { vectors } else { 1 };
        let lanes = |v: usize| (outputs - self.panel * PANEL - (v + step - 1) * LANES).min(LANES);
        // SAFETY: slab, panel, rows and columns exist; the tiles of a block write disjoint places.
        unsafe {
            for k in (0..inputs).step_by(DEPTH) {
                let depth = DEPTH.min(inputs - k);
                let bytes = self.bytes(k);
                for i in 0..depth {
                    let line = bytes.add(i * PANEL);
                    S::prefetch(line.wrapping_add(DEPTH * PANEL).cast());
                    for n in 0..vectors {
                        let weights = S::load_i8(line.add(n * LANES));
                        weights.store(self.slab.add(i * PANEL + n * LANES));
                    }
                }
                let mut v = 0;
                while v < vectors {
                    for t in 0..tiles {
                        let (first, end) = (self.rows * t / tiles, self.rows * (t + 1) / tiles);
                        let tile = Tile {
                            depth,
                            x: self.x.add(first * inputs + k),
                            x_stride: inputs,
                            w: self.slab.add(v * LANES),
                            w_stride: PANEL,
                            ahead: self.slab,
                            lines: 0,
                            begin: (k == 0).then_some(zeros.as_ptr()),
                            y: self.y.add(first * outputs + v * LANES),
                            y_stride: outputs,
                            last: lanes(v),
                        };
                        match step {
                            4 => tile.rows::<S, 4>(end - first),
                            3 => tile.rows::<S, 3>(end - first),
                            2 => tile.rows::<S, 2>(end - first),
                            _ => tile.rows::<S, 1>(end - first),
                        }
                    }
                    v += step;
                }
            }
            for r in 0..self.rows {
                for v in 0..vectors {
                    let y = self.y.add(r * outputs + v * LANES);
                    let left = (outputs - self.panel * PANEL - v * LANES).min(LANES);
                    let sum = match left == LANES {
                        true => S::load(y),
                        false => S::load_part(y, left),
                    };
                    self.finish(sum, r, v);
                }
            }
        }
    }

    /// The weights of input `k`.
    #[inline(always)]
    unsafe fn bytes(&self, k: usize) -> *const i8 {
        let panels = self.linear.panels.as_ptr().cast::<i8>();
        // SAFETY: the panel has a line for input `k`.
        unsafe { panels.add((self.panel * self.linear.inputs + k) * PANEL) }
    }

    /// Writes `scale · sum + bias` of row `r` and vector `v`.
    #[inline(always)]
    unsafe fn finish<S: Lanes>(&self, sum: S, r: usize, v: usize) {
        let linear = self.linear;
        let column = self.panel * PANEL + v * LANES;
        // SAFETY: scales and bias have whole panels; `left` outputs exist from this column on.
        unsafe {
            let scale = S::load(linear.scales.as_ptr().add(column));
            let y = sum.fma(scale, S::load(linear.bias.as_ptr().add(column)));
            let out = self.y.add(r * linear.outputs + v * LANES);
            match linear.outputs - column {
                left if left >= LANES => y.store(out),
                left => y.store_part(out, left),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;
    use proptest::prelude::*;

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    /// The definition, from the weights themselves.
    fn chain(weight: &[f32], inputs: usize, bias: Option<&[f32]>, x: &[f32]) -> Vec<f32> {
        let element = |row: &[f32], o: usize| {
            let weight = &weight[o * inputs..(o + 1) * inputs];
            let scale = weight.iter().fold(0.0f32, |m, w| m.max(w.abs())) / 127.0;
            let sum = row.iter().zip(weight).fold(0.0f32, |sum, (x, w)| {
                x.mul_add((w / scale).round_ties_even().clamp(-127.0, 127.0), sum)
            });
            sum.mul_add(scale, bias.map_or(0.0, |b| b[o]))
        };
        let outputs = weight.len() / inputs;
        x.chunks(inputs)
            .flat_map(|row| (0..outputs).map(move |o| element(row, o)))
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        #[cfg_attr(miri, ignore = "too large")]
        fn every_element_is_one_scaled_chain_on_every_instruction_set(
            rows in 1usize..40, inputs in 1usize..300, outputs in 1usize..200, with_bias: bool, seed: u64,
        ) {
            let weight = values(outputs * inputs, seed);
            let bias = with_bias.then(|| values(outputs, seed + 1));
            let x = values(rows * inputs, seed + 2);
            let expected = bits(&chain(&weight, inputs, bias.as_deref(), &x));
            let linear = Int8Linear::concat(&[(&weight, outputs, bias.as_deref())], inputs);
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
        let weight = values(outputs * inputs, 1);
        let linear = Int8Linear::concat(&[(&weight, outputs, None)], inputs);
        let x = values(rows * inputs, 2);
        let mut together = vec![0.0; rows * outputs];
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| linear.apply_on(&x, &mut together, Threads::Pool));
            for row in [0, 1, 30, 66] {
                let mut alone = vec![0.0; outputs];
                let x = &x[row * inputs..(row + 1) * inputs];
                linear.apply_on(x, &mut alone, Threads::Pool);
                let among = &together[row * outputs..(row + 1) * outputs];
                assert_eq!(bits(&alone), bits(among));
            }
        }
    }

    #[test]
    fn a_weight_is_off_by_at_most_half_a_step_and_takes_a_quarter_of_the_memory() {
        let (inputs, outputs) = (256, 128);
        let mut weight = values(inputs * outputs, 3);
        weight[..inputs].fill(0.0);
        let linear = Int8Linear::concat(&[(&weight, outputs, None)], inputs);
        let mut row = vec![f32::NAN; inputs];
        for (o, weight) in weight.chunks(inputs).enumerate() {
            linear.weight_row(o, &mut row);
            let largest = weight.iter().fold(0.0f32, |m, w| m.max(w.abs()));
            for (found, weight) in row.iter().zip(weight) {
                assert!((found - weight).abs() <= 0.5001 * largest / 127.0);
            }
        }
        assert!(linear.bytes() * 100 < 26 * size_of_val(weight.as_slice()));
    }

    #[test]
    fn weights_one_under_the_other_give_their_outputs_one_after_the_other() {
        let (a, b) = (values(70 * 33, 3), values(9 * 33, 4));
        let bias = values(9, 5);
        let both = Int8Linear::concat(&[(&a, 70, None), (&b, 9, Some(&bias))], 33);
        let x = values(33, 6);
        let mut y = vec![0.0; 79];
        both.apply_on(&x, &mut y, Threads::One);
        let (mut ya, mut yb) = (vec![0.0; 70], vec![0.0; 9]);
        Int8Linear::concat(&[(&a, 70, None)], 33).apply_on(&x, &mut ya, Threads::One);
        Int8Linear::concat(&[(&b, 9, Some(&bias))], 33).apply_on(&x, &mut yb, Threads::One);
        assert_eq!(bits(&y), bits(&[ya, yb].concat()));
    }

    #[test]
    fn an_output_with_a_weight_that_is_no_number_is_none_and_the_others_are() {
        let mut weight = values(3 * 20, 7);
        weight[25] = f32::NAN;
        let linear = Int8Linear::concat(&[(&weight, 3, None)], 20);
        let mut y = [0.0; 3];
        linear.apply_on(&values(20, 8), &mut y, Threads::One);
        assert!(y[0].is_finite() && y[1].is_nan() && y[2].is_finite());
    }
}
