//! NSA, native sparse attention: three branches, mixed by gates of each query head
//! ([`percept_kernels::sparse::nsa`] has the formula and its source).

use std::sync::Arc;

use burn::tensor::Tensor;
use percept_kernels::Layout;
use percept_kernels::sparse::Branches;
use percept_kernels::sparse::nsa::{GATES, Gated, Rows, Runs};

use super::attention::attention as selected_attention;
use super::choices::choices;
use super::reference;
use crate::host_op::{Input, run};
use crate::tensors::has_kernel;

/// NSA: `q` `[T, Hq, D]`, `k` and `v` `[T, Hkv, D]`, result `[T, Hq, D]`. `gates` `[T, 3·Hq]` are
/// logits, head after head, each (compressed, selected, window).
///
/// # Panics
/// When the shapes do not fit each other or `layout`.
pub fn attention(
    branches: &Branches,
    [q, k, v]: [Tensor<3>; 3],
    gates: Tensor<2>,
    layout: &Arc<Layout>,
    scale: f32,
) -> Tensor<3> {
    let ([tokens, heads, dim], [_, kv_heads, _]) = (q.dims(), k.dims());
    assert_eq!(
        gates.dims(),
        [tokens, GATES * heads],
        "NSA: gates of q {:?}",
        q.dims()
    );
    let selected = &branches.selected;
    let marks: Arc<[bool]> = Arc::new([]);
    if !has_kernel(&q) {
        let chosen = choices(selected, &q, &k, layout, &marks, scale);
        return reference::nsa(branches, [q, k, v], gates, layout, &chosen, scale);
    }
    let runs = |rows| {
        let op = Runs::new(rows, [heads, kv_heads, dim], layout, scale);
        run::<3>([q.clone().into(), k.clone().into(), v.clone().into()], op)
    };
    let (q2, k2, v2) = (q.clone(), k.clone(), v.clone());
    let parts = [
        selected_attention(selected, q2, k2, v2, layout, &marks, scale),
        runs(Rows::Means(selected.block)),
        runs(Rows::Window(branches.window)),
    ];
    let [selected, compressed, window] = parts;
    let add = |sum: Input, part: Tensor<3>, branch| {
        let op = Gated {
            tokens,
            heads,
            dim,
            branch,
        };
        run::<3>([part.into(), gates.clone().into(), sum], op)
    };
    let sum = add(Input::none(), compressed, 0);
    let sum = add(sum.into(), selected, 1);
    add(sum.into(), window, 2)
}
