//! Block-sparse causal attention.

use std::sync::Arc;

use burn::tensor::Tensor;
use percept_kernels::Layout;
use percept_kernels::sparse::{Pattern, Sparse};

use super::choices::choices;
use super::reference;
use crate::host_op::run;
use crate::tensors::has_kernel;

/// Block-sparse causal attention: `q` `[T, Hq, D]`, `k` and `v` `[T, Hkv, D]`, result `[T, Hq, D]`.
/// `marks` says of each token whether it is punctuation (read by PHSA; may be empty otherwise).
///
/// # Panics
/// When the shapes do not fit each other, `layout` or `marks`.
pub fn attention(
    pattern: &Pattern,
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    layout: &Arc<Layout>,
    marks: &Arc<[bool]>,
    scale: f32,
) -> Tensor<3> {
    let ([tokens, heads, dim], [kv_tokens, kv_heads, kv_dim]) = (q.dims(), k.dims());
    assert!(
        k.dims() == v.dims() && kv_tokens == tokens && kv_dim == dim,
        "sparse attention: q {:?}, k {:?}, v {:?}",
        q.dims(),
        k.dims(),
        v.dims()
    );
    assert!(
        kv_heads > 0 && heads.is_multiple_of(kv_heads),
        "sparse attention: {heads} heads are no multiple of {kv_heads} key/value heads"
    );
    assert_eq!(layout.len(), tokens, "sparse attention: layout and tokens");
    assert!(
        marks.is_empty() || marks.len() == tokens,
        "sparse attention: {} marks of {tokens} tokens",
        marks.len()
    );
    if !has_kernel(&q) {
        let chosen = choices(pattern, &q, &k, layout, marks, scale);
        return reference::attention(pattern, q, k, v, layout, &chosen, scale);
    }
    let op = Sparse::new(pattern, [heads, kv_heads, dim], layout, marks, scale);
    run([q.into(), k.into(), v.into()], op)
}
