//! Small matrix products that read their operands where they lie.
//!
//! Attention over short spans multiplies matrices of a few dozen rows. The general product packs
//! both operands first, which costs as much as the product itself; here the right operand has
//! contiguous rows and elements of the left one are broadcast from any strides.

use crate::simd::{Isa, Kernel, LANES, Lanes, dispatch};

/// Columns that a tile covers at once.
pub(super) const PANEL: usize = 2 * LANES;

/// `out = scale·a·b`, or `out += scale·a·b` with `add`: `a` `[m, k]`, `b` `[k, n]`, `out` `[m, n]`.
/// Every element is one FMA chain over `k` in order.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub scale: f32,
    /// Element (i, j) at `i·a_row + j·a_column`.
    pub a: *const f32,
    pub a_row: usize,
    pub a_column: usize,
    /// Row-major panels of [`PANEL`] columns, rows `b_row` and panels `b_panel` apart; without panels, the latter is
    /// [`PANEL`].
    pub b: *const f32,
    pub b_row: usize,
    pub b_panel: usize,
    /// Row-major, rows `out_row` apart.
    pub out: *mut f32,
    pub out_row: usize,
    pub add: bool,
}

impl Product {
    /// # Safety
    /// All elements exist, and nobody else uses those of `out` meanwhile.
    pub(super) unsafe fn run(self) {
        dispatch(Isa::detect(), self);
    }
}

impl Kernel for Product {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let mut column = 0;
        while column < self.n {
            let rest = self.n - column;
            // SAFETY: the promise of `Product::run`; the caller has the instructions.
            unsafe {
                // 12 × 2 accumulators, two vectors of `b` and a broadcast fit in 32 registers.
                if S::WIDE && rest >= PANEL {
                    self.rows::<S, 2>(column, LANES);
                    column += PANEL;
                } else {
                    self.rows::<S, 1>(column, rest.min(LANES));
                    column += LANES;
                }
            }
        }
    }
}

impl Product {
    /// All rows of `V` vectors of columns, the last with `last` lanes.
    #[inline(always)]
    unsafe fn rows<S: Lanes, const V: usize>(&self, column: usize, last: usize) {
        let mut row = 0;
        // SAFETY: rows and columns exist.
        unsafe {
            while row < self.m {
                let rest = self.m - row;
                if S::WIDE && rest >= 12 {
                    self.tile::<S, 12, V>(row, column, last);
                    row += 12;
                } else if rest >= 6 {
                    self.tile::<S, 6, V>(row, column, last);
                    row += 6;
                } else if rest >= 3 {
                    self.tile::<S, 3, V>(row, column, last);
                    row += 3;
                } else {
                    self.tile::<S, 1, V>(row, column, last);
                    row += 1;
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn tile<S: Lanes, const R: usize, const V: usize>(
        &self,
        row: usize,
        column: usize,
        last: usize,
    ) {
        // SAFETY: rows and columns exist.
        unsafe {
            let mut sums = [[S::splat(0.0); V]; R];
            let mut a = self.a.add(row * self.a_row);
            let mut b = self.b.add(column / PANEL * self.b_panel + column % PANEL);
            let whole = last == LANES;
            for _ in 0..self.k {
                let mut right = [S::splat(0.0); V];
                for (v, right) in right.iter_mut().enumerate() {
                    *right = if V > 1 || whole {
                        S::load(b.add(v * LANES))
                    } else {
                        S::load_part(b.add(v * LANES), last)
                    };
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let left = S::splat(*a.add(r * self.a_row));
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = left.fma(right[v], *sum);
                    }
                }
                a = a.wrapping_add(self.a_column);
                b = b.wrapping_add(self.b_row);
            }
            let scale = S::splat(self.scale);
            let out = self.out.add(row * self.out_row + column);
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    let out = out.add(r * self.out_row + v * LANES);
                    let n = if V > 1 { LANES } else { last };
                    let value = if self.add {
                        sum.fma(scale, S::load_part(out, n))
                    } else {
                        sum.mul(scale)
                    };
                    value.store_part(out, n);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        #[cfg_attr(miri, ignore = "too large")]
        fn a_product_is_its_definition_for_all_strides(
            m in 1usize..30,
            k in 0usize..20,
            n in 1usize..70,
            transposed in any::<bool>(),
            add in any::<bool>(),
        ) {
            let value = |i: usize| ((i * 37 + 11) % 64) as f32 / 32.0 - 1.0;
            let a: Vec<f32> = (0..m * k).map(value).collect();
            let b: Vec<f32> = (0..k * (n + 3)).map(|i| value(i + 5)).collect();
            let before: Vec<f32> = (0..m * (n + 1)).map(|i| value(i + 9)).collect();
            let (a_row, a_column) = if transposed { (1, m) } else { (k, 1) };
            for isa in Isa::all() {
                let mut out = before.clone();
                dispatch(isa, Product {
                    m, k, n, scale: 0.5, add, a_row, a_column,
                    a: a.as_ptr(), b: b.as_ptr(), b_row: n + 3, b_panel: PANEL,
                    out: out.as_mut_ptr(), out_row: n + 1,
                });
                for i in 0..m {
                    for j in 0..n {
                        let sum: f32 =
                            (0..k).map(|t| a[i * a_row + t * a_column] * b[t * (n + 3) + j]).sum();
                        let old = if add { before[i * (n + 1) + j] } else { 0.0 };
                        let found = out[i * (n + 1) + j];
                        prop_assert!((found - old - 0.5 * sum).abs() < 1e-5, "{isa:?} {i} {j}");
                    }
                    if i + 1 < m {
                        prop_assert_eq!(out[i * (n + 1) + n], before[i * (n + 1) + n]);
                    }
                }
            }
        }
    }
}
