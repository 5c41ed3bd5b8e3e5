//! What queries on a device choose.

use std::sync::Arc;

use burn::tensor::Tensor;
use percept_kernels::Layout;
use percept_kernels::sparse::{Pattern, Sparse};

use crate::tensors::to_vec;

/// For each token and query head, `[tokens · heads]`, the blocks that it chooses, ascending: for tensors on a device,
/// which attend where they are, while the host finds out to what, as it does for itself.
pub(super) fn choices(
    pattern: &Pattern,
    q: &Tensor<3>,
    k: &Tensor<3>,
    layout: &Arc<Layout>,
    marks: &Arc<[bool]>,
    scale: f32,
) -> Vec<Vec<u32>> {
    let ([_, heads, dim], [_, kv_heads, _]) = (q.dims(), k.dims());
    let op = Sparse::new(pattern, [heads, kv_heads, dim], layout, marks, scale);
    op.choices(&to_vec(q), &to_vec(k))
}
