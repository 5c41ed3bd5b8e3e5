//! Matrix products on slices: in f32 through the `gemm` crate that Burn's CPU backend uses too, in
//! bfloat16 through [`mod@bf16`].

#[cfg(target_arch = "x86_64")]
use super::bf16;
use super::mat::Mat;
#[cfg(target_arch = "x86_64")]
use super::support::has_bf16;
use crate::precision::Precision;
#[cfg(target_arch = "x86_64")]
use crate::threads::Threads;
use crate::unwritten::Unwritten;

/// Products below this many multiplications are not worth a second thread (measured: 2 cores,
/// rayon's hand-over costs about 5 µs, one thread does 100 GFLOP/s).
const SERIAL: usize = 1 << 19;

/// A right factor `[k, n]` of products: in bfloat16 a rounded and packed copy, so that several products
/// with one factor pack it once.
pub(crate) struct Right<'a> {
    b: Mat<'a>,
    k: usize,
    n: usize,
    #[cfg(target_arch = "x86_64")]
    packed: Option<bf16::Right>,
}

impl<'a> Right<'a> {
    /// # Panics
    /// When `b` has not all elements of this shape.
    pub(crate) fn new(precision: Precision, b: Mat<'a>, [k, n]: [usize; 2]) -> Self {
        assert!(
            b.covers([k, n]),
            "a right factor [{k}, {n}] of {} values",
            b.data.len()
        );
        #[cfg(not(target_arch = "x86_64"))]
        let _ = precision;
        Self {
            b,
            k,
            n,
            #[cfg(target_arch = "x86_64")]
            packed: (precision == Precision::Bf16 && has_bf16())
                // SAFETY: all elements are there, as checked, and the instructions as well.
                .then(|| unsafe { bf16::Right::pack(b, [k, n]) }),
        }
    }

    /// `out = keep·out + scale·a·self` for `a` `[m, k]` and `out` `[m, n]`, row-major.
    ///
    /// # Panics
    /// When `a` or `out` have not all elements of their shapes.
    pub(crate) fn product(&self, m: usize, scale: f32, a: Mat, keep: f32, out: &mut [f32]) {
        assert!(
            out.len() / self.n.max(1) >= m,
            "{} values for a product [{m}, {}]",
            out.len(),
            self.n
        );
        // SAFETY: `out` is ours alone and has the elements.
        unsafe { self.product_into(m, scale, a, keep, out.as_mut_ptr()) };
    }

    /// # Safety
    /// `out` has `[m, n]` elements, which nobody else uses meanwhile; they need not be written yet where `keep` is 0.
    ///
    /// # Panics
    /// When `a` has not all elements of its shape.
    unsafe fn product_into(&self, m: usize, scale: f32, a: Mat, keep: f32, out: *mut f32) {
        let Self { b, k, n, .. } = *self;
        assert!(
            a.covers([m, k]),
            "a left factor [{m}, {k}] of {} values",
            a.data.len()
        );
        let serial = m * k * n <= SERIAL;
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &self.packed {
            let threads = match serial {
                true => Threads::One,
                false => Threads::Pool,
            };
            // SAFETY: `a` was checked, `out` is as the caller says; it was packed where the instructions are.
            unsafe { packed.product(m, scale, a, keep, out, n, threads, |_, _| {}) };
            return;
        }
        #[cfg(miri)]
        {
            // SAFETY: as below.
            unsafe { plain([m, k, n], scale, a, b, keep, out) };
            return;
        }
        #[cfg(not(miri))]
        let parallelism = match serial {
            true => gemm::Parallelism::None,
            false => gemm::Parallelism::Rayon(0),
        };
        // SAFETY: `a` and `b` were checked, `out` is as the caller says. Without `keep` it is not read.
        #[cfg(not(miri))]
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out,
                1,
                n as isize,
                keep != 0.0,
                a.data.as_ptr(),
                a.column as isize,
                a.row as isize,
                b.data.as_ptr(),
                b.column as isize,
                b.row as isize,
                keep,
                scale,
                false,
                false,
                false,
                parallelism,
            );
        }
    }

    /// `scale·a·self` as a new row-major `[m, n]`.
    pub(crate) fn matrix(&self, m: usize, scale: f32, a: Mat) -> Vec<f32> {
        let mut out = Unwritten::new(m * self.n);
        let slots = out.slots().as_mut_ptr().cast();
        // SAFETY: `out` is ours and has the room, and a product that keeps nothing writes every element.
        unsafe {
            self.product_into(m, scale, a, 0.0, slots);
            out.written()
        }
    }
}

/// `out = keep·out + scale·a·b` for `a` `[m, k]`, `b` `[k, n]`, `out` `[m, n]`, row-major.
///
/// # Panics
/// As [`Right::product`].
pub(crate) fn product(
    precision: Precision,
    [m, k, n]: [usize; 3],
    scale: f32,
    a: Mat,
    b: Mat,
    keep: f32,
    out: &mut [f32],
) {
    Right::new(precision, b, [k, n]).product(m, scale, a, keep, out);
}

/// `scale·a·b` as a new row-major `[m, n]`.
///
/// # Panics
/// As [`Right::product`].
pub(crate) fn matrix(
    precision: Precision,
    [m, k, n]: [usize; 3],
    scale: f32,
    a: Mat,
    b: Mat,
) -> Vec<f32> {
    Right::new(precision, b, [k, n]).matrix(m, scale, a)
}

/// The product of [`Right::product`] in plain Rust: Miri has none of the instructions that `gemm` asks the processor for.
///
/// # Safety
/// `a` `[m, k]` and `b` `[k, n]` cover their shapes, `out` is as [`Right::product_into`] says.
#[cfg(miri)]
unsafe fn plain([m, k, n]: [usize; 3], scale: f32, a: Mat, b: Mat, keep: f32, out: *mut f32) {
    for i in 0..m {
        for j in 0..n {
            let terms =
                (0..k).map(|l| a.data[i * a.row + l * a.column] * b.data[l * b.row + j * b.column]);
            let sum = scale * terms.sum::<f32>();
            // SAFETY: an element of `out`, which is read only where something is kept.
            unsafe {
                let out = out.add(i * n + j);
                let kept = if keep == 0.0 { 0.0 } else { keep * out.read() };
                out.write(kept + sum);
            }
        }
    }
}
