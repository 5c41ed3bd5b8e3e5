//! Matrix products on slices: in f32 through the `gemm` crate that Burn's CPU backend uses too, in
//! bfloat16 through [`mod@crate::bf16`].

use crate::Precision;
#[cfg(target_arch = "x86_64")]
use crate::host::Threads;

/// A matrix in memory: element (i, j) is at `i·row + j·column`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mat {
    pub data: *const f32,
    pub row: usize,
    pub column: usize,
}

impl Mat {
    /// A row-major matrix whose rows are `row` elements apart.
    pub(crate) fn rows(data: &[f32], row: usize) -> Self {
        Self {
            data: data.as_ptr(),
            row,
            column: 1,
        }
    }

    /// Its transpose, without moving anything.
    pub(crate) fn t(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }
}

/// Products below this many multiplications are not worth a second thread (measured: 2 cores,
/// rayon's hand-over costs about 5 µs, one thread does 100 GFLOP/s).
const SERIAL: usize = 1 << 19;

/// Whether this machine multiplies bfloat16.
pub(crate) fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return crate::bf16::is_available();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// A right factor `[k, n]` of products: in bfloat16 a rounded and packed copy, so that several products
/// with one factor pack it once.
pub(crate) struct Right {
    b: Mat,
    k: usize,
    n: usize,
    #[cfg(target_arch = "x86_64")]
    packed: Option<crate::bf16::Right>,
}

impl Right {
    /// # Safety
    /// All elements must be in the memory that the pointer comes from, as long as there are products.
    pub(crate) unsafe fn new(precision: Precision, b: Mat, [k, n]: [usize; 2]) -> Self {
        #[cfg(not(target_arch = "x86_64"))]
        let _ = precision;
        Self {
            b,
            k,
            n,
            #[cfg(target_arch = "x86_64")]
            packed: (precision == Precision::Bf16 && has_bf16())
                // SAFETY: the caller's promise; available.
                .then(|| unsafe { crate::bf16::Right::pack(b, [k, n]) }),
        }
    }

    /// `out = keep·out + scale·a·self` for `a` `[m, k]`, `out` row-major with rows `out_row` apart.
    ///
    /// # Safety
    /// All elements must be inside the memory that the pointers come from, and nobody else may use
    /// `out`'s elements meanwhile.
    pub(crate) unsafe fn product(
        &self,
        m: usize,
        scale: f32,
        a: Mat,
        keep: f32,
        out: *mut f32,
        out_row: usize,
    ) {
        let Self { b, k, n, .. } = *self;
        let serial = m * k * n <= SERIAL;
        #[cfg(target_arch = "x86_64")]
        if let Some(packed) = &self.packed {
            let threads = match serial {
                true => Threads::One,
                false => Threads::Pool,
            };
            // SAFETY: the caller's promise; it was packed where it is available.
            unsafe { packed.product(m, scale, a, keep, out, out_row, threads, |_, _| {}) };
            return;
        }
        let parallelism = match serial {
            true => gemm::Parallelism::None,
            false => gemm::Parallelism::Rayon(0),
        };
        // SAFETY: the caller's promise.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out,
                1,
                out_row as isize,
                keep != 0.0,
                a.data,
                a.column as isize,
                a.row as isize,
                b.data,
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
        let mut out = Vec::with_capacity(m * self.n);
        // SAFETY: callers pass matrices of the shape over live slices; `out` is ours and has the room, and a
        // product that keeps nothing writes every element.
        unsafe {
            self.product(m, scale, a, 0.0, out.as_mut_ptr(), self.n);
            out.set_len(m * self.n);
        }
        out
    }
}

/// `out = keep·out + scale·a·b` for `a` `[m, k]`, `b` `[k, n]`, `out` row-major with rows
/// `out_row` apart.
///
/// # Safety
/// As [`Right::product`].
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn product(
    precision: Precision,
    [m, k, n]: [usize; 3],
    scale: f32,
    a: Mat,
    b: Mat,
    keep: f32,
    out: *mut f32,
    out_row: usize,
) {
    // SAFETY: the caller's promise.
    unsafe { Right::new(precision, b, [k, n]).product(m, scale, a, keep, out, out_row) };
}

/// `scale·a·b` as a new row-major `[m, n]`.
pub(crate) fn matrix(
    precision: Precision,
    [m, k, n]: [usize; 3],
    scale: f32,
    a: Mat,
    b: Mat,
) -> Vec<f32> {
    // SAFETY: callers pass matrices of the shape over live slices.
    unsafe { Right::new(precision, b, [k, n]) }.matrix(m, scale, a)
}
