//! Rows that replace those of another matrix.

use burn::tensor::Tensor;
use percept_kernels::train::Scatter;

use crate::host_op::{Input, run};
use crate::tensors::{check_rows, has_kernel};

/// `x` with row `index[i]` replaced by `rows[i]`.
///
/// # Panics
/// When an index is not a row or occurs twice, or the shapes do not fit.
pub fn scatter_rows(x: Tensor<2>, index: &[u32], rows: Tensor<2>) -> Tensor<2> {
    let [count, width] = x.dims();
    assert_eq!(
        rows.dims(),
        [index.len(), width],
        "scatter_rows: rows for x {:?}",
        x.dims()
    );
    check_rows("scatter_rows", index, count);
    let mut replaced = vec![false; count];
    for &row in index {
        let again = std::mem::replace(&mut replaced[row as usize], true);
        assert!(!again, "scatter_rows: row {row} occurs twice");
    }
    if !has_kernel(&x) {
        return reference::scatter_rows(x, index, rows);
    }
    let op = Scatter {
        rows: count,
        width,
        index: index.to_vec(),
    };
    run([x.into(), rows.into(), Input::none()], op)
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::{IndexingUpdateOp, Tensor};

    use crate::tensors::indices;

    /// See [`crate::scatter_rows`].
    pub fn scatter_rows(x: Tensor<2>, index: &[u32], rows: Tensor<2>) -> Tensor<2> {
        let index = indices(index, &x.device());
        let old = x.clone().select(0, index.clone());
        x.select_assign(0, index, rows - old, IndexingUpdateOp::Add)
    }
}
