//! Operations on the rows of a matrix: normalisation, rotary embedding, SwiGLU. A row's bits depend on the row alone.

use std::mem::MaybeUninit;

use crate::simd::{Isa, Kernel, LANES, Lanes, dispatch};
use crate::unwritten::slots;

/// `out = x / √(mean(x²) + eps) · weight`, row by row of `weight.len()` values.
/// The sum of squares runs in sixteen lanes (value `i` in lane `i mod 16`), folded 8, 4, 2, 1.
///
/// # Panics
/// When `x` and `out` are not the same whole rows.
pub fn rms_norm_rows(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    rms_norm_into(x, weight, eps, slots(out));
}

/// As [`rms_norm_rows`], into memory that need not be written yet and is written afterwards.
///
/// # Panics
/// As [`rms_norm_rows`].
pub(crate) fn rms_norm_into(x: &[f32], weight: &[f32], eps: f32, out: &mut [MaybeUninit<f32>]) {
    check_rows(x.len(), out.len(), weight.len());
    let rows = Input::Apart(x, out.as_mut_ptr().cast());
    dispatch(Isa::detect(), RmsNorm { rows, weight, eps });
}

/// `x += add`, then `out = rms_norm(x)`: the residual sum and the norm that follows it, in one pass.
///
/// # Panics
/// When the three arrays are not the same whole rows.
pub fn add_rms_norm_rows(x: &mut [f32], add: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    check_rows(x.len(), out.len(), weight.len());
    assert_eq!(x.len(), add.len(), "the summand has the rows of x");
    let rows = Input::Sum(x, add, out);
    dispatch(Isa::detect(), RmsNorm { rows, weight, eps });
}

/// Normalises, in place, heads of `weight.len()` values that lie one after the other (QK-norm of Qwen3).
///
/// # Panics
/// When `x` is not whole heads.
pub fn rms_norm_heads(x: &mut [f32], weight: &[f32], eps: f32) {
    check_rows(x.len(), x.len(), weight.len());
    let rows = Input::InPlace(x);
    dispatch(Isa::detect(), RmsNorm { rows, weight, eps });
}

fn check_rows(x: usize, out: usize, width: usize) {
    assert!(
        width > 0 && x.is_multiple_of(width),
        "{x} values are not whole rows of {width}"
    );
    assert_eq!(x, out, "the output has the shape of the input");
}

/// What is normalised, and where the result goes.
enum Input<'a> {
    /// The first array into the second, which has its length.
    Apart(&'a [f32], *mut f32),
    /// The second array is added to the first, and the sum is normalised into the third.
    Sum(&'a mut [f32], &'a [f32], &'a mut [f32]),
    /// An array into itself.
    InPlace(&'a mut [f32]),
}

struct RmsNorm<'a> {
    rows: Input<'a>,
    weight: &'a [f32],
    eps: f32,
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let width = self.weight.len();
        let (whole, rest) = (width / LANES * LANES, width % LANES);
        let weight = self.weight.as_ptr();
        // One pointer to each array, made once: what is read and written through the same memory goes through the same one.
        let (len, x, add, out) = match self.rows {
            Input::Apart(x, out) => (x.len(), x.as_ptr(), None, out),
            Input::Sum(x, add, out) => {
                let sum = x.as_mut_ptr();
                (
                    x.len(),
                    sum.cast_const(),
                    Some((sum, add.as_ptr())),
                    out.as_mut_ptr(),
                )
            }
            Input::InPlace(x) => {
                let rows = x.as_mut_ptr();
                (x.len(), rows.cast_const(), None, rows)
            }
        };
        // SAFETY: all arrays are whole rows of `width` values, which the public functions of this file check before they
        // dispatch; within a row every value is read before it is written.
        unsafe {
            for first in (0..len).step_by(width) {
                let (x, out) = (x.add(first), out.add(first));
                if let Some((sum, add)) = add {
                    let (sum, add) = (sum.add(first), add.add(first));
                    for i in (0..whole).step_by(LANES) {
                        S::load(sum.add(i))
                            .add(S::load(add.add(i)))
                            .store(sum.add(i));
                    }
                    let tail =
                        S::load_part(sum.add(whole), rest).add(S::load_part(add.add(whole), rest));
                    tail.store_part(sum.add(whole), rest);
                }
                let mut squares = S::splat(0.0);
                for i in (0..whole).step_by(LANES) {
                    let v = S::load(x.add(i));
                    squares = v.fma(v, squares);
                }
                let tail = S::load_part(x.add(whole), rest);
                squares = tail.fma(tail, squares);
                let scale = S::splat(1.0 / (squares.sum() / width as f32 + self.eps).sqrt());
                for i in (0..whole).step_by(LANES) {
                    S::load(x.add(i))
                        .mul(scale)
                        .mul(S::load(weight.add(i)))
                        .store(out.add(i));
                }
                let tail = tail.mul(scale).mul(S::load_part(weight.add(whole), rest));
                tail.store_part(out.add(whole), rest);
            }
        }
    }
}

/// Rotates, in place, the first `heads` heads of every row of `x [rows, stride]`, in the rotate-half form:
/// `(a, b) → (a·cos − b·sin, b·cos + a·sin)` for the halves `a`, `b` of a head of `2·half` values.
/// `cos` and `sin` are `[rows, half]`.
///
/// # Panics
/// When the shapes do not fit each other.
pub fn rotary_rows(
    x: &mut [f32],
    stride: usize,
    heads: usize,
    half: usize,
    cos: &[f32],
    sin: &[f32],
) {
    let rows = x.len() / stride;
    assert_eq!(x.len(), rows * stride, "x is whole rows of {stride}");
    assert!(
        heads * half * 2 <= stride,
        "{heads} heads of {} do not fit a row of {stride}",
        half * 2
    );
    assert!(
        cos.len() == rows * half && sin.len() == rows * half,
        "cos and sin are [{rows}, {half}]"
    );
    dispatch(
        Isa::detect(),
        Rotary {
            x,
            stride,
            heads,
            half,
            cos,
            sin,
        },
    );
}

struct Rotary<'a> {
    x: &'a mut [f32],
    stride: usize,
    heads: usize,
    half: usize,
    cos: &'a [f32],
    sin: &'a [f32],
}

impl Kernel for Rotary<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let half = self.half;
        for (row, (cos, sin)) in self
            .x
            .chunks_exact_mut(self.stride)
            .zip(self.cos.chunks_exact(half).zip(self.sin.chunks_exact(half)))
        {
            for head in row.chunks_exact_mut(2 * half).take(self.heads) {
                let (a, b) = head.split_at_mut(half);
                for i in (0..half).step_by(LANES) {
                    let n = (half - i).min(LANES);
                    // SAFETY: `n` values follow `i` in all four arrays.
                    unsafe {
                        let (cos, sin) = (
                            S::load_part(cos.as_ptr().add(i), n),
                            S::load_part(sin.as_ptr().add(i), n),
                        );
                        let (pa, pb) = (a.as_mut_ptr().add(i), b.as_mut_ptr().add(i));
                        let (va, vb) = (S::load_part(pa, n), S::load_part(pb, n));
                        va.mul(cos).sub(vb.mul(sin)).store_part(pa, n);
                        vb.mul(cos).add(va.mul(sin)).store_part(pb, n);
                    }
                }
            }
        }
    }
}

/// `out [rows, width] = silu(gate)·up`, where a row of `x` is `[gate | up]`, each `width` long.
///
/// # Panics
/// When `x` and `out` have not the same number of whole rows.
pub fn swiglu_rows(x: &[f32], width: usize, out: &mut [f32]) {
    let rows = out.len() / width;
    assert_eq!(
        out.len(),
        rows * width,
        "the output is whole rows of {width}"
    );
    assert_eq!(x.len(), 2 * out.len(), "a row of x is gate and up");
    dispatch(Isa::detect(), SwiGlu { x, width, out });
}

struct SwiGlu<'a> {
    x: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Kernel for SwiGlu<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let width = self.width;
        for (x, out) in self
            .x
            .chunks_exact(2 * width)
            .zip(self.out.chunks_exact_mut(width))
        {
            let (gate, up) = x.split_at(width);
            let whole = width / LANES * LANES;
            // SAFETY: sixteen values follow `i` in all arrays, and `width − whole` follow `whole`.
            unsafe {
                for i in (0..whole).step_by(LANES) {
                    let y = silu(S::load(gate.as_ptr().add(i))).mul(S::load(up.as_ptr().add(i)));
                    y.store(out.as_mut_ptr().add(i));
                }
                let rest = width - whole;
                if rest > 0 {
                    let y = silu(S::load_part(gate.as_ptr().add(whole), rest));
                    let y = y.mul(S::load_part(up.as_ptr().add(whole), rest));
                    y.store_part(out.as_mut_ptr().add(whole), rest);
                }
            }
        }
    }
}

/// `x / (1 + e^−x)`.
#[inline(always)]
unsafe fn silu<S: Lanes>(x: S) -> S {
    // SAFETY: register arithmetic on instructions that the caller has.
    unsafe { x.div(S::splat(0.0).sub(x).exp().add(S::splat(1.0))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, values};

    #[test]
    fn rms_norm_is_its_definition_for_every_width() {
        for width in [1, 7, 16, 48, 61, 128] {
            let (x, weight, add) = (values(3 * width, 1), values(width, 2), values(3 * width, 3));
            let mut out = vec![0.0; x.len()];
            rms_norm_rows(&x, &weight, 1e-6, &mut out);
            let expected: Vec<f64> = x
                .chunks(width)
                .flat_map(|row| {
                    let mean =
                        row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / width as f64;
                    let scale = (mean + 1e-6).sqrt().recip();
                    row.iter()
                        .zip(&weight)
                        .map(move |(v, w)| f64::from(*v) * scale * f64::from(*w))
                })
                .collect();
            close(&out, &expected, 1e-6);

            let mut sum = x.clone();
            let mut out_sum = vec![0.0; x.len()];
            add_rms_norm_rows(&mut sum, &add, &weight, 1e-6, &mut out_sum);
            let by_hand: Vec<f32> = x.iter().zip(&add).map(|(x, a)| x + a).collect();
            assert_eq!(sum, by_hand);
            rms_norm_rows(&by_hand, &weight, 1e-6, &mut out);
            assert_eq!(out, out_sum);
            let mut in_place = by_hand;
            rms_norm_heads(&mut in_place, &weight, 1e-6);
            assert_eq!(out, in_place);
        }
    }

    #[test]
    fn rotation_keeps_the_length_and_leaves_other_heads_alone() {
        for half in [4, 6, 16, 24, 64] {
            let (rows, heads) = (3, 2);
            let stride = heads * 2 * half + 5;
            let x = values(rows * stride, 4);
            let angles = values(rows * half, 5);
            let cos: Vec<f32> = angles.iter().map(|a| a.cos()).collect();
            let sin: Vec<f32> = angles.iter().map(|a| a.sin()).collect();
            let mut y = x.clone();
            rotary_rows(&mut y, stride, heads, half, &cos, &sin);
            for row in 0..rows {
                for head in 0..heads {
                    for i in 0..half {
                        let (a, b) = (
                            row * stride + head * 2 * half + i,
                            row * stride + head * 2 * half + half + i,
                        );
                        let (c, s) = (cos[row * half + i], sin[row * half + i]);
                        close(
                            &[y[a], y[b]],
                            &[(x[a] * c - x[b] * s).into(), (x[b] * c + x[a] * s).into()],
                            1e-6,
                        );
                        let length = x[a] * x[a] + x[b] * x[b];
                        close(&[y[a] * y[a] + y[b] * y[b]], &[length.into()], 1e-5);
                    }
                }
                let rest = row * stride + heads * 2 * half..(row + 1) * stride;
                assert_eq!(x[rest.clone()], y[rest]);
            }
        }
    }

    #[test]
    fn swiglu_is_its_definition_also_far_out() {
        for width in [1, 16, 19, 80] {
            let mut x = values(2 * 2 * width, 6);
            x[0] = -200.0;
            let mut out = vec![0.0; 2 * width];
            swiglu_rows(&x, width, &mut out);
            let expected: Vec<f64> = x
                .chunks(2 * width)
                .flat_map(|row| {
                    (0..width).map(|i| {
                        let g = f64::from(row[i]);
                        g / (1.0 + (-g).exp()) * f64::from(row[width + i])
                    })
                })
                .collect();
            close(&out, &expected, 1e-6);
        }
    }
}
