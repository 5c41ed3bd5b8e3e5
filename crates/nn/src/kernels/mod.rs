//! CPU kernels of the operators: f32 slices in, f32 slices out, each with its analytic backward.

use crate::host::simd::LANES;

pub(crate) use fresh::Fresh;

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod gated;
mod fresh;
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

/// Zeros, for kernels that write every element through slices which tasks share; see [`Fresh`] for
/// those whose tasks have parts of their own.
pub(crate) fn unwritten(len: usize) -> Vec<f32> {
    vec![0.0; len]
}
