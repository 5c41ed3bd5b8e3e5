//! CPU kernels of the operators: f32 slices in, f32 slices out, each with its analytic backward.

use crate::host::simd::LANES;

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod gated;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod log_prob;
pub(crate) mod norm;
pub(crate) mod pointwise;
pub(crate) mod rows;

/// Rows per rayon task of row-wise kernels. Fixed, so that sums over tasks do not depend on the
/// number of threads.
const TASK_ROWS: usize = 128;

/// Elements per rayon task of element-wise kernels.
const TASK: usize = 16_384;

/// Offsets and lengths of the vectors that cover `len` elements.
#[inline(always)]
fn vectors(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len)
        .step_by(LANES)
        .map(move |at| (at, LANES.min(len - at)))
}

/// An array for a kernel that writes every element before anybody reads one: zeros would be one
/// more pass over memory, on one thread.
pub(crate) fn unwritten(len: usize) -> Vec<f32> {
    let mut array = Vec::with_capacity(len);
    // SAFETY: f32 has no invalid bit pattern, and callers write before they read.
    #[allow(clippy::uninit_vec)]
    unsafe {
        array.set_len(len);
    }
    array
}
