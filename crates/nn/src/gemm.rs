//! Matrix products on slices: in f32 through the `gemm` crate that Burn's CPU backend uses too, in
//! bfloat16 through [`crate::amx`].

use crate::Precision;

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
    return crate::amx::is_available();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// `out = keep·out + scale·a·b` for `a` `[m, k]`, `b` `[k, n]`, `out` row-major with rows
/// `out_row` apart.
///
/// # Safety
/// All elements must be inside the memory that the pointers come from, and nobody else may use
/// `out`'s elements meanwhile.
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
    #[cfg(target_arch = "x86_64")]
    if precision == Precision::Bf16 && crate::amx::is_available() {
        // SAFETY: the caller's promise.
        unsafe { crate::amx::product([m, k, n], scale, a, b, keep, out, out_row) };
        return;
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = precision;
    let parallelism = match m * k * n > SERIAL {
        true => gemm::Parallelism::Rayon(0),
        false => gemm::Parallelism::None,
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

/// `scale·a·b` as a new row-major `[m, n]`.
pub(crate) fn matrix(
    precision: Precision,
    shape: [usize; 3],
    scale: f32,
    a: Mat,
    b: Mat,
) -> Vec<f32> {
    let [m, _, n] = shape;
    let mut out = Vec::with_capacity(m * n);
    // SAFETY: callers pass matrices of `shape` over live slices; `out` is ours and has the room, and a
    // product that keeps nothing writes every element.
    unsafe {
        product(precision, shape, scale, a, b, 0.0, out.as_mut_ptr(), n);
        out.set_len(m * n);
    }
    out
}
