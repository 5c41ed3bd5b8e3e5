//! The operators of the training path. Each is defined in [`crate::reference`]; the choice of a
//! kernel is made here and nowhere else.
//!
//! Shapes and indices are checked before any kernel runs; a mismatch is a mistake of the calling
//! code and panics with both shapes.

use std::sync::{Arc, OnceLock};

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::host_op::{Input, run};
use crate::kernels::activation::{Activation, Function};
use crate::kernels::attention::Attention;
use crate::kernels::layer_norm::LayerNorm;
use crate::kernels::norm::RmsNorm;
use crate::kernels::pointwise::{Rotary, SwiGlu};
use crate::kernels::rows::{Gather, Scatter};
use crate::{Layout, reference, tiled};

/// Whether the CPU kernels apply: f32 in host memory.
pub(crate) fn has_kernel<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device().inner() == Device::flex()
}

/// Variable-length attention with shared prefixes and grouped queries: each span of `layout` sees
/// its whole prefix and itself, causally or fully.
///
/// `q` `[T, Hq, D]`, `k` and `v` `[T, Hkv, D]` with `Hq` a multiple of `Hkv`; result `[T, Hq, D]`.
///
/// # Panics
/// When the shapes do not fit each other or `layout`.
pub fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    layout: &Arc<Layout>,
    causal: bool,
    scale: f32,
) -> Tensor<3> {
    let ([tokens, heads, dim], [kv_tokens, kv_heads, kv_dim]) = (q.dims(), k.dims());
    assert!(
        k.dims() == v.dims() && kv_tokens == tokens && kv_dim == dim,
        "attention: q {:?}, k {:?}, v {:?}",
        q.dims(),
        k.dims(),
        v.dims()
    );
    assert!(
        kv_heads > 0 && heads.is_multiple_of(kv_heads),
        "attention: {heads} heads are no multiple of {kv_heads} key/value heads"
    );
    let covered = layout.len();
    assert_eq!(
        covered, tokens,
        "attention: the layout covers {covered} tokens of {tokens}"
    );
    if !has_kernel(&q) {
        return tiled::attention(q, k, v, layout, causal, scale);
    }
    let layout = Arc::clone(layout);
    let log_z = OnceLock::new();
    let op = Attention {
        tokens,
        heads,
        kv_heads,
        dim,
        causal,
        scale,
        layout,
        log_z,
    };
    run([q.into(), k.into(), v.into()], op)
}

/// `x / sqrt(mean(x²) + eps) · weight` over the last axis: `[T, H]`, `[H]` (arXiv 1910.07467).
///
/// # Panics
/// When the widths differ.
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let [rows, width] = x.dims();
    assert_eq!(
        weight.dims(),
        [width],
        "rms_norm: weight of x {:?}",
        x.dims()
    );
    if !has_kernel(&x) {
        return reference::rms_norm(x, weight, eps);
    }
    let op = RmsNorm {
        rows,
        width,
        eps: eps as f32,
    };
    run([x.into(), weight.into(), Input::none()], op)
}

/// Layer normalisation over the last axis: `[T, H]`, `[H]`, `[H]` (arXiv 1607.06450).
///
/// # Panics
/// When the widths differ.
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    let [rows, width] = x.dims();
    assert_eq!(
        weight.dims(),
        [width],
        "layer_norm: weight of x {:?}",
        x.dims()
    );
    assert_eq!(bias.dims(), [width], "layer_norm: bias of x {:?}", x.dims());
    if !has_kernel(&x) {
        return reference::layer_norm(x, weight, bias, eps);
    }
    let op = LayerNorm {
        rows,
        width,
        eps: eps as f32,
    };
    run([x.into(), weight.into(), bias.into()], op)
}

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

/// `silu(gate) · up`, both `[T, H]` (arXiv 2002.05202).
///
/// # Panics
/// When the shapes differ.
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    let [rows, width] = gate.dims();
    assert_eq!(up.dims(), [rows, width], "swiglu: gate and up");
    if !has_kernel(&gate) {
        return reference::swiglu(gate, up);
    }
    run(
        [gate.into(), up.into(), Input::none()],
        SwiGlu { rows, width },
    )
}

/// The exact GELU, `x·Φ(x)`, over `[T, H]` (arXiv 1606.08415).
pub fn gelu(x: Tensor<2>) -> Tensor<2> {
    if !has_kernel(&x) {
        return reference::gelu(x);
    }
    activation(x, Function::Gelu)
}

/// `x·σ(1.702·x)` over `[T, H]`: the GELU of CLIP and of Qwen2-VL's vision tower.
pub fn quick_gelu(x: Tensor<2>) -> Tensor<2> {
    if !has_kernel(&x) {
        return reference::quick_gelu(x);
    }
    activation(x, Function::QuickGelu)
}

fn activation(x: Tensor<2>, function: Function) -> Tensor<2> {
    let [rows, width] = x.dims();
    run(
        [x.into(), Input::none(), Input::none()],
        Activation {
            function,
            rows,
            width,
        },
    )
}

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

pub(crate) fn check_rows(op: &str, index: &[u32], rows: usize) {
    let wrong = index.iter().find(|&&row| row as usize >= rows);
    assert!(wrong.is_none(), "{op}: index {wrong:?} of {rows} rows");
}

/// `Σ x·c` as a `[1]` tensor; `c` has no gradient. What a loss computed on the host needs to send
/// its gradient back.
///
/// # Panics
/// When the lengths differ.
pub fn dot(x: Tensor<1>, c: &[f32]) -> Tensor<1> {
    assert_eq!(x.dims()[0], c.len(), "one coefficient per value");
    let device = x.device().inner();
    let c = Tensor::<1>::from_data(TensorData::new(c.to_vec(), [c.len()]), &device);
    (x * c).sum()
}

/// The values of a tensor on the host, row-major, without its autodiff graph.
pub fn to_vec<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.clone()
        .into_data()
        .try_into_vec()
        .expect("tensors of this crate are f32")
}
