//! Rotary position embedding.

use burn::tensor::Tensor;
use percept_kernels::train::Rotary;

use crate::host_op::run;
use crate::tensors::has_kernel;

/// Rotary position embedding in the rotate-half form of transformers: `x` `[T, H, D]`, tables
/// `[T, D]` without gradient.
///
/// # Panics
/// When the tables do not fit, or D is odd.
pub fn rotary(x: Tensor<3>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<3> {
    let [tokens, heads, dim] = x.dims();
    assert_eq!(
        cos.dims(),
        [tokens, dim],
        "rotary: cosines of x {:?}",
        x.dims()
    );
    assert_eq!(
        sin.dims(),
        [tokens, dim],
        "rotary: sines of x {:?}",
        x.dims()
    );
    assert!(
        dim.is_multiple_of(2),
        "rotary: {dim} values of a head are no pairs"
    );
    if !has_kernel(&x) {
        return reference::rotary(x, cos, sin);
    }
    run(
        [x.into(), cos.into(), sin.into()],
        Rotary { tokens, heads, dim },
    )
}

/// The definition in Burn's tensor operations.
pub mod reference {
    use burn::tensor::Tensor;

    /// See [`crate::rotary`].
    pub fn rotary(x: Tensor<3>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<3> {
        let [tokens, _, dim] = x.dims();
        let first = x.clone().narrow(2, 0, dim / 2);
        let second = x.clone().narrow(2, dim / 2, dim / 2);
        let turned = Tensor::cat(vec![-second, first], 2);
        x * cos.reshape([tokens, 1, dim]) + turned * sin.reshape([tokens, 1, dim])
    }
}
