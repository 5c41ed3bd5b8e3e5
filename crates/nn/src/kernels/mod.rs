//! CPU kernels of the operators: f32 slices in, f32 slices out, each with its analytic backward.

pub(crate) mod attention;
pub(crate) mod linear;
pub(crate) mod log_prob;
pub(crate) mod norm;
pub(crate) mod pointwise;
pub(crate) mod rows;

/// Rows per rayon task of row-wise kernels. Fixed, so that sums over tasks do not depend on the
/// number of threads.
const TASK_ROWS: usize = 128;
