//! What is computed of a row of logits: normalisers, divergences, and slopes in its place.

use crate::simd::{Kernel, LANES, Lanes};

/// `[Σ e, Σ e·(l − max), max]` with `e = exp(l − max)`.
pub(super) struct Sums<'a> {
    pub row: &'a [f32],
}

impl Kernel for Sums<'_> {
    type Output = [f32; 3];

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) -> [f32; 3] {
        let len = self.row.len();
        let x = self.row.as_ptr();
        // SAFETY: `n` elements follow `at`; lanes beyond them are made 0 by the masks below.
        unsafe {
            let whole = len / LANES * LANES;
            let mut tops = [S::splat(f32::MIN); 4];
            for at in (0..whole).step_by(LANES) {
                // Four chains: one is as long as the latency of a comparison.
                let top = &mut tops[at / LANES % 4];
                *top = top.max(S::load(x.add(at)));
            }
            let top = tops[0].max(tops[1]).max(tops[2].max(tops[3])).largest();
            let max = self.row[whole..].iter().copied().fold(top, f32::max);
            let (mut sum, mut weighted) = (S::splat(0.0), S::splat(0.0));
            for at in (0..whole).step_by(LANES) {
                let l = S::load(x.add(at)).sub(S::splat(max));
                let e = l.exp();
                sum = sum.add(e);
                weighted = e.fma(l, weighted);
            }
            let (mut sum, mut weighted) = (sum.sum(), weighted.sum());
            for &l in &self.row[whole..] {
                let e = (l - max).exp();
                sum += e;
                weighted += e * (l - max);
            }
            // `max` ignores logits that are no number; `weighted` does not.
            [
                sum,
                weighted,
                if weighted.is_nan() { f32::NAN } else { max },
            ]
        }
    }
}

/// Turns logits into `−a·p − b·p·(l − z + H)`; the target's `+a` is added by the caller.
pub(super) struct Slopes<'a> {
    pub row: &'a mut [f32],
    pub z: f32,
    pub a: f32,
    pub b: f32,
    pub entropy: f32,
}

impl Kernel for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let len = self.row.len();
        let x = self.row.as_mut_ptr();
        for at in (0..len).step_by(LANES) {
            let n = LANES.min(len - at);
            // SAFETY: `n` elements follow `at`.
            unsafe {
                let log_p = S::load_part(x.add(at), n).sub(S::splat(self.z));
                let p = log_p.exp();
                let slope = log_p
                    .add(S::splat(self.entropy))
                    .fma(S::splat(-self.b), S::splat(-self.a));
                p.mul(slope).store_part(x.add(at), n);
            }
        }
    }
}

/// `Σ p·(log p − log q)` with `p = exp(l − z)` and `log p − log q = l − m − shift`, `m` the logits of `q`.
pub(super) struct Divergence<'a> {
    pub row: &'a [f32],
    pub other: &'a [f32],
    pub z: f32,
    pub shift: f32,
}

impl Kernel for Divergence<'_> {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) -> f32 {
        let (len, x, y) = (self.row.len(), self.row.as_ptr(), self.other.as_ptr());
        let whole = len / LANES * LANES;
        // SAFETY: both rows have `len` elements.
        unsafe {
            let mut sum = S::splat(0.0);
            for at in (0..whole).step_by(LANES) {
                let l = S::load(x.add(at));
                let p = l.sub(S::splat(self.z)).exp();
                let apart = l.sub(S::load(y.add(at))).sub(S::splat(self.shift));
                sum = p.fma(apart, sum);
            }
            let rest = self.row[whole..].iter().zip(&self.other[whole..]);
            let rest: f32 = rest
                .map(|(&l, &m)| (l - self.z).exp() * (l - m - self.shift))
                .sum();
            sum.sum() + rest
        }
    }
}

/// Turns logits into the slopes of [`Slopes`] plus `c·p·(log p − log q − D)`.
pub(super) struct SlopesApart<'a> {
    pub slopes: Slopes<'a>,
    pub other: &'a [f32],
    pub c: f32,
    pub shift: f32,
    pub kl: f32,
}

impl Kernel for SlopesApart<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let Slopes {
            row,
            z,
            a,
            b,
            entropy,
        } = self.slopes;
        let (len, x, y) = (row.len(), row.as_mut_ptr(), self.other.as_ptr());
        for at in (0..len).step_by(LANES) {
            let n = LANES.min(len - at);
            // SAFETY: `n` elements follow `at` in both rows.
            unsafe {
                let l = S::load_part(x.add(at), n);
                let log_p = l.sub(S::splat(z));
                let apart = l.sub(S::load_part(y.add(at), n));
                let apart = apart.sub(S::splat(self.shift + self.kl));
                let slope = log_p.add(S::splat(entropy)).fma(S::splat(-b), S::splat(-a));
                let slope = apart.fma(S::splat(self.c), slope);
                log_p.exp().mul(slope).store_part(x.add(at), n);
            }
        }
    }
}

/// Turns logits into the slopes of [`Slopes`] plus `c·(p − q)`, `q = exp(m − other_z)`.
pub(super) struct SlopesTowards<'a> {
    pub slopes: Slopes<'a>,
    pub other: &'a [f32],
    pub other_z: f32,
    pub c: f32,
}

impl Kernel for SlopesTowards<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Lanes>(self) {
        let Slopes {
            row,
            z,
            a,
            b,
            entropy,
        } = self.slopes;
        let (len, x, y) = (row.len(), row.as_mut_ptr(), self.other.as_ptr());
        for at in (0..len).step_by(LANES) {
            let n = LANES.min(len - at);
            // SAFETY: `n` elements follow `at` in both rows.
            unsafe {
                let log_p = S::load_part(x.add(at), n).sub(S::splat(z));
                let q = S::load_part(y.add(at), n).sub(S::splat(self.other_z)).exp();
                let slope = log_p
                    .add(S::splat(entropy))
                    .fma(S::splat(-b), S::splat(self.c - a));
                let slopes = log_p.exp().mul(slope).sub(q.mul(S::splat(self.c)));
                slopes.store_part(x.add(at), n);
            }
        }
    }
}
