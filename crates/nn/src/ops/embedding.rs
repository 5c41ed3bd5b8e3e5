//! Rows of a table.

use burn::tensor::Tensor;
use percept_kernels::train::Gather;

use crate::host_op::{Input, run};
use crate::tensors::{check_rows, has_kernel};

/// Rows of an embedding table: `[V, H]`, result `[ids, H]`; the backward pass adds into the rows.
///
/// # Panics
/// When an id is not a row.
pub fn embedding(weight: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let [rows, width] = weight.dims();
    check_rows("embedding", ids, rows);
    if !has_kernel(&weight) {
        return reference::embedding(weight, ids);
    }
    let op = Gather {
        rows,
        width,
        index: ids.to_vec(),
    };
    run([weight.into(), Input::none(), Input::none()], op)
}

/// The rows `index` of `x`, repetition allowed; the backward pass adds them up.
///
/// # Panics
/// When an index is not a row.
pub fn gather_rows(x: Tensor<2>, index: &[u32]) -> Tensor<2> {
    embedding(x, index)
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::Tensor;

    use crate::tensors::indices;

    /// See [`crate::embedding`].
    pub fn embedding(weight: Tensor<2>, ids: &[u32]) -> Tensor<2> {
        let ids = indices(ids, &weight.device());
        weight.select(0, ids)
    }
}
