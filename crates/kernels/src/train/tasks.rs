//! How the work of an operator is cut for the threads and into vectors.

use crate::simd::LANES;

/// Rows per rayon task of row-wise kernels. Fixed, so that sums over tasks do not depend on the
/// number of threads.
pub(super) const TASK_ROWS: usize = 128;

/// Elements per rayon task of element-wise kernels.
pub(super) const TASK: usize = 16_384;

/// Offsets and lengths of the vectors that cover `len` elements.
#[inline(always)]
pub(super) fn vectors(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len)
        .step_by(LANES)
        .map(move |at| (at, LANES.min(len - at)))
}
