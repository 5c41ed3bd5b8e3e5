//! Every kernel against its definition: values and gradients of all inputs.
//!
//! Both run in f32; the tolerance is 2e-5 of the largest absolute value of the definition's
//! result, several times what the order of summation changes, and of 0.3 where that is less: a
//! thousand terms of size 1 that cancel leave rounding. The definitions themselves are
//! checked against finite differences in f64 in `finite_differences.rs`.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use burn::tensor::Tensor;
use common::{constant, leaf};
use percept_kernels::Precision;
use percept_kernels::train::KlDirection;
use percept_nn::{self as nn, Layout, Span, reference};
use proptest::prelude::*;

fn close(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(0.3f32, |m, e| m.max(e.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= 2e-5 * scale, "{name}[{i}]: {f} for {e}");
    }
}

/// Result and gradients of `Σ c·f(leaves)` with fixed coefficients `c`.
macro_rules! evaluate {
    ($f:expr, $($leaf:expr),+) => {{
        let out = $f;
        let shape = out.dims();
        let mut grads = (out.clone() * constant(99, shape)).sum().backward();
        (nn::to_vec(&out), vec![$(nn::to_vec(&$leaf.grad_remove(&mut grads).unwrap())),+])
    }};
}

macro_rules! compare {
    ($name:expr, $kernel:expr, $definition:expr, $($leaf:expr),+) => {{
        let (value, grads) = evaluate!($kernel, $($leaf),+);
        let (expected, expected_grads) = evaluate!($definition, $($leaf),+);
        close(concat!($name, " value"), &value, &expected);
        for (i, (g, e)) in grads.iter().zip(&expected_grads).enumerate() {
            close(&format!("{} gradient {i}", $name), g, e);
        }
    }};
}

#[test]
fn linear() {
    for (rows, inputs, outputs) in [(1, 1, 1), (7, 5, 3), (300, 33, 48)] {
        let (x, w, b) = (
            leaf(1, [rows, inputs]),
            leaf(2, [outputs, inputs]),
            leaf(3, [outputs]),
        );
        compare!(
            "linear",
            nn::linear(x.clone(), w.clone(), Some(b.clone())),
            reference::linear(x.clone(), w.clone(), Some(b.clone())),
            x,
            w,
            b
        );
        compare!(
            "linear without bias",
            nn::linear(x.clone(), w.clone(), None),
            reference::linear(x.clone(), w.clone(), None),
            x,
            w
        );
    }
}

#[test]
fn rms_norm() {
    for (rows, width) in [(1, 1), (3, 17), (300, 64)] {
        let (x, w) = (leaf(1, [rows, width]), leaf(2, [width]));
        compare!(
            "rms_norm",
            nn::rms_norm(x.clone(), w.clone(), 1e-5),
            reference::rms_norm(x.clone(), w.clone(), 1e-5),
            x,
            w
        );
    }
}

#[test]
fn layer_norm() {
    for (rows, width) in [(1, 5), (3, 17), (300, 64)] {
        let (x, w, b) = (leaf(1, [rows, width]), leaf(2, [width]), leaf(3, [width]));
        compare!(
            "layer_norm",
            nn::layer_norm(x.clone() + 2.0, w.clone(), b.clone(), 1e-5),
            reference::layer_norm(x.clone() + 2.0, w.clone(), b.clone(), 1e-5),
            x,
            w,
            b
        );
    }
}

#[test]
fn gelus() {
    let x = leaf(1, [37, 19]);
    compare!(
        "gelu",
        nn::gelu(x.clone() * 6.0),
        reference::gelu(x.clone() * 6.0),
        x
    );
    compare!(
        "quick_gelu",
        nn::quick_gelu(x.clone() * 6.0),
        reference::quick_gelu(x.clone() * 6.0),
        x
    );
}

#[test]
fn swiglu_and_rotary() {
    let (gate, up) = (leaf(1, [37, 19]), leaf(2, [37, 19]));
    compare!(
        "swiglu",
        nn::swiglu(gate.clone() * 4.0, up.clone()),
        reference::swiglu(gate.clone() * 4.0, up.clone()),
        gate,
        up
    );
    let (x, cos, sin) = (
        leaf(3, [140, 3, 10]),
        constant(4, [140, 10]),
        constant(5, [140, 10]),
    );
    compare!(
        "rotary",
        nn::rotary(x.clone(), cos.clone(), sin.clone()),
        reference::rotary(x.clone(), cos.clone(), sin.clone()),
        x
    );
}

#[test]
fn swiglu_before_a_linear_layer() {
    let (gate, up, w) = (leaf(1, [37, 19]), leaf(2, [37, 19]), leaf(3, [7, 19]));
    let both = |gate: &Tensor<2>| gate.clone() * 4.0;
    compare!(
        "swiglu_linear",
        nn::swiglu_linear(nn::Precision::F32, both(&gate), up.clone(), w.clone()),
        reference::linear(reference::swiglu(both(&gate), up.clone()), w.clone(), None),
        gate,
        up,
        w
    );
    // The bits of the two operators one after the other.
    let found = nn::swiglu_linear(nn::Precision::F32, gate.clone(), up.clone(), w.clone());
    let expected = nn::linear(nn::swiglu(gate, up), w, None);
    assert_eq!(nn::to_vec(&found), nn::to_vec(&expected));
}

#[test]
fn rows_move_and_their_gradients_add_up() {
    let (table, x, rows) = (leaf(1, [6, 5]), leaf(2, [7, 5]), leaf(3, [2, 5]));
    let ids = [3, 0, 3, 5, 3];
    compare!(
        "embedding",
        nn::embedding(table.clone(), &ids),
        reference::embedding(table.clone(), &ids),
        table
    );
    compare!(
        "scatter_rows",
        nn::scatter_rows(x.clone(), &[6, 2], rows.clone()),
        reference::scatter_rows(x.clone(), &[6, 2], rows.clone()),
        x,
        rows
    );
}

#[test]
fn log_prob_and_entropy() {
    for (rows, width, vocabulary) in [(1, 3, 2), (40, 12, 83), (9, 8, 200_000)] {
        let (h, w) = (leaf(1, [rows, width]), leaf(2, [vocabulary, width]));
        let targets: Vec<u32> = (0..rows).map(|i| (i * 31 % vocabulary) as u32).collect();
        let both = |stats: nn::TokenStats| Tensor::cat(vec![stats.log_prob, stats.entropy], 0);
        compare!(
            "linear_log_prob",
            both(nn::linear_log_prob(
                h.clone(),
                w.clone() * 3.0,
                &targets,
                0.7
            )),
            both(reference::linear_log_prob(
                h.clone(),
                w.clone() * 3.0,
                &targets,
                0.7
            )),
            h,
            w
        );
    }
}

#[test]
fn divergence_from_a_second_distribution() {
    for (rows, width, other, vocabulary) in [(1, 3, 5, 2), (40, 12, 12, 83), (300, 8, 5, 20_011)] {
        let (h, w) = (leaf(1, [rows, width]), leaf(2, [vocabulary, width]));
        let second = || {
            [
                constant(3, [rows, other]),
                constant(4, [vocabulary, other]) * 2.0,
            ]
        };
        let targets: Vec<u32> = (0..rows).map(|i| (i * 31 % vocabulary) as u32).collect();
        let all = |(stats, kl): (nn::TokenStats, Tensor<1>)| {
            Tensor::cat(vec![stats.log_prob, stats.entropy, kl], 0)
        };
        compare!(
            "linear_log_prob_kl",
            all(nn::linear_log_prob_kl(
                h.clone(),
                w.clone() * 3.0,
                &targets,
                0.7,
                second()
            )),
            all((
                reference::linear_log_prob(h.clone(), w.clone() * 3.0, &targets, 0.7),
                reference::linear_kl(h.clone(), w.clone() * 3.0, second(), 0.7)
            )),
            h,
            w
        );
        compare!(
            "linear_log_prob_kl, forward",
            all(nn::linear_log_prob_kl_in(
                Precision::F32,
                h.clone(),
                w.clone() * 3.0,
                &targets,
                0.7,
                second(),
                KlDirection::Forward
            )),
            all((
                reference::linear_log_prob(h.clone(), w.clone() * 3.0, &targets, 0.7),
                reference::linear_forward_kl(h.clone(), w.clone() * 3.0, second(), 0.7)
            )),
            h,
            w
        );
    }
}

#[test]
fn a_model_does_not_diverge_from_itself_and_the_other_results_keep_their_bits() {
    let (h, w) = (leaf(1, [40, 12]), leaf(2, [83, 12]));
    let targets: Vec<u32> = (0..40).collect();
    let second = [h.clone(), w.clone()];
    let (stats, kl) = nn::linear_log_prob_kl(h.clone(), w.clone(), &targets, 0.7, second);
    assert!(nn::to_vec(&kl).iter().all(|&kl| kl == 0.0));
    let mut grads = kl.sum().backward();
    let grad = nn::to_vec(&h.grad_remove(&mut grads).unwrap());
    assert!(grad.iter().all(|&slope| slope == 0.0), "a minimum");
    let plain = nn::linear_log_prob(h, w, &targets, 0.7);
    assert_eq!(nn::to_vec(&stats.log_prob), nn::to_vec(&plain.log_prob));
    assert_eq!(nn::to_vec(&stats.entropy), nn::to_vec(&plain.entropy));
}

fn attention_case(layout: Layout, heads: usize, kv_heads: usize, dim: usize, causal: bool) {
    let tokens = layout.len();
    let layout = Arc::new(layout);
    let q = leaf(1, [tokens, heads, dim]);
    let (k, v) = (
        leaf(2, [tokens, kv_heads, dim]),
        leaf(3, [tokens, kv_heads, dim]),
    );
    let scale = 2.0 / (dim as f32).sqrt();
    compare!(
        "attention",
        nn::attention(
            q.clone() * 3.0,
            k.clone(),
            v.clone(),
            &layout,
            causal,
            scale
        ),
        reference::attention(
            q.clone() * 3.0,
            k.clone(),
            v.clone(),
            &layout,
            causal,
            scale
        ),
        q,
        k,
        v
    );
}

#[test]
fn attention_over_long_spans_in_blocks() {
    attention_case(Layout::packed(&[300, 1, 40]), 2, 1, 16, true);
    attention_case(Layout::packed(&[257, 3]), 2, 2, 8, false);
    let prompt_and_response = vec![
        Span::alone(0, 600),
        Span {
            start: 600,
            len: 700,
            prefix_start: 0,
            prefix_len: 600,
        },
    ];
    for (kv_heads, group, dim) in [(1, 2, 16), (1, 8, 64), (2, 1, 128)] {
        for causal in [true, false] {
            let layout = Layout::new(prompt_and_response.clone(), 1300).unwrap();
            attention_case(layout, kv_heads * group, kv_heads, dim, causal);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn attention_with_shared_prefixes(
        groups in prop::collection::vec((1usize..9, prop::collection::vec(1usize..7, 0..4)), 1..5),
        group in 1usize..9,
        kv_heads in 1usize..3,
        dim in prop::sample::select(vec![6, 32, 64, 80, 128]),
        causal in any::<bool>(),
    ) {
        let (mut spans, mut at) = (Vec::new(), 0);
        for (prompt, responses) in groups {
            let prefix_start = at;
            spans.push(Span::alone(at, prompt));
            at += prompt;
            for len in responses {
                spans.push(Span { start: at, len, prefix_start, prefix_len: prompt });
                at += len;
            }
        }
        attention_case(Layout::new(spans, at).unwrap(), kv_heads * group, kv_heads, dim, causal);
    }
}
