//! NSA, native sparse attention: three branches, mixed by gates of each query head.
//!
//! `o = g_cmp·o_cmp + g_slc·o_slc + g_win·o_win`, `g = σ(W_g x)` of the hidden state `x`:
//!
//! * compressed: attention to the mean key and value of every complete block; 0 where there is
//!   none yet;
//! * selected: attention to the tokens of a few blocks: the first ones, the last ones, and those
//!   with the highest compressed soft-max, summed over the query heads of a key/value head;
//! * window: attention to the last tokens.
//!
//! Source: arXiv 2502.11089, in the form of `naive_nsa_with_compression` of
//! fla-org/native-sparse-attention. From there, not from the paper: a mean in the place of the
//! learned compression (an MLP with positions within the block), blocks of compression that do not
//! overlap and are those of selection, one set of keys and values for all branches, and a linear
//! gate in the place of an MLP.
//!
//! The selected branch is [`sparse::attention`](super::attention): its choice by mean keys is
//! NSA's. The other two see one run of rows, of tokens or of means.

mod back;
mod cache;
mod config;
mod gate;
mod runs;

use std::sync::Arc;

use burn::tensor::Tensor;

use self::gate::Gated;
use self::runs::{Rows, Runs};
use super::op::choices;
use super::reference;
use crate::Layout;
use crate::host_op::{Input, run};
use crate::ops::has_kernel;

pub use cache::NsaCache;
pub use config::{Branches, Nsa};

/// Gates of a query head.
pub const GATES: usize = 3;

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
        let op = Runs {
            rows,
            tokens,
            heads,
            kv_heads,
            dim,
            scale,
            layout: Arc::clone(layout),
        };
        run::<3>([q.clone().into(), k.clone().into(), v.clone().into()], op)
    };
    let (q2, k2, v2) = (q.clone(), k.clone(), v.clone());
    let parts = [
        super::attention(selected, q2, k2, v2, layout, &marks, scale),
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
