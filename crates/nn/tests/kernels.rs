//! Every kernel against its definition: values and gradients of all inputs.
//!
//! Both run in f32; the tolerance is 2e-5 of the largest absolute value of the definition's
//! result, several times what the order of summation changes. The definitions themselves are
//! checked against finite differences in f64 in `finite_differences.rs`.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use percept_nn::{self as nn, Layout, Span, reference};
use proptest::prelude::*;

/// Deterministic values between −1 and 1.
fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
        })
        .collect()
}

fn leaf<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    let data = TensorData::new(values(seed, shape.iter().product()), shape);
    Tensor::from_data(data, &Device::flex())
        .autodiff()
        .require_grad()
}

fn constant<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    let data = TensorData::new(values(seed, shape.iter().product()), shape);
    Tensor::from_data(data, &Device::flex())
}

fn close(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1e-3f32, |m, e| m.max(e.abs()));
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

fn attention_case(layout: Layout, heads: usize, kv_heads: usize, dim: usize, causal: bool) {
    let tokens = layout.len();
    let layout = Arc::new(layout);
    let q = leaf(1, [tokens, heads, dim]);
    let (k, v) = (
        leaf(2, [tokens, kv_heads, dim]),
        leaf(3, [tokens, kv_heads, dim]),
    );
    compare!(
        "attention",
        nn::attention(q.clone() * 3.0, k.clone(), v.clone(), &layout, causal, 0.8),
        reference::attention(q.clone() * 3.0, k.clone(), v.clone(), &layout, causal, 0.8),
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
    for causal in [true, false] {
        attention_case(
            Layout::new(prompt_and_response.clone(), 1300).unwrap(),
            2,
            1,
            16,
            causal,
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn attention_with_shared_prefixes(
        groups in prop::collection::vec((1usize..9, prop::collection::vec(1usize..7, 0..4)), 1..5),
        group in 1usize..4,
        kv_heads in 1usize..3,
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
        attention_case(Layout::new(spans, at).unwrap(), kv_heads * group, kv_heads, 6, causal);
    }
}

#[test]
fn an_axis_without_tokens_is_no_error() {
    let (x, w) = (leaf(1, [0, 4]), leaf(2, [5, 4]));
    assert_eq!(nn::linear(x.clone(), w.clone(), None).dims(), [0, 5]);
    assert_eq!(nn::rms_norm(x.clone(), leaf(3, [4]), 1e-6).dims(), [0, 4]);
    assert_eq!(nn::gather_rows(w.clone(), &[]).dims(), [0, 4]);
    assert_eq!(
        nn::linear_log_prob(x.clone(), w, &[], 1.0).entropy.dims(),
        [0]
    );
    let q = x.reshape([0, 2, 2]);
    let layout = Arc::new(Layout::default());
    assert_eq!(
        nn::attention(q.clone(), q.clone(), q, &layout, true, 1.0).dims(),
        [0, 2, 2]
    );
}

/// One operator with arguments that do not fit.
fn refused(expected: &str, call: impl FnOnce() + std::panic::UnwindSafe) {
    let panic = std::panic::catch_unwind(call).unwrap_err();
    let message = panic.downcast_ref::<String>().map_or("", String::as_str);
    assert!(
        message.contains(expected),
        "{message:?} does not say {expected:?}"
    );
}

#[test]
fn arguments_that_do_not_fit_are_refused_before_memory_is_touched() {
    refused("linear: x [2, 3]", || {
        drop(nn::linear(leaf(1, [2, 3]), leaf(2, [2, 4]), None))
    });
    refused("Some(4) of 4 rows", || {
        drop(nn::embedding(leaf(1, [4, 2]), &[0, 4]))
    });
    refused("row 1 occurs twice", || {
        drop(nn::scatter_rows(leaf(1, [4, 2]), &[1, 1], leaf(2, [2, 2])));
    });
    refused("covers 3 tokens of 2", || {
        let (q, layout) = (leaf(1, [2, 1, 2]), Arc::new(Layout::packed(&[3])));
        drop(nn::attention(q.clone(), q.clone(), q, &layout, true, 1.0));
    });
    refused("no multiple", || {
        let (q, k, layout) = (leaf(1, [2, 3, 2]), leaf(2, [2, 2, 2]), Layout::packed(&[2]));
        drop(nn::attention(q, k.clone(), k, &Arc::new(layout), true, 1.0));
    });
    refused("Some(5) of 5 rows", || {
        drop(nn::linear_log_prob(
            leaf(1, [1, 2]),
            leaf(2, [5, 2]),
            &[5],
            1.0,
        ));
    });
}

/// Bits of the values and gradients of all operators that add up over rows.
fn bits() -> Vec<u32> {
    let (x, w, b) = (leaf(1, [700, 96]), leaf(2, [96]), leaf(3, [96]));
    let (matrix, table) = (leaf(4, [96, 96]), leaf(5, [300, 96]));
    let layout = Arc::new(Layout::packed(&[300, 1, 30, 30, 30, 30, 279]));
    let heads = |x: Tensor<2>| x.reshape([700, 3, 32]);
    let h = nn::rms_norm(x.clone(), w.clone(), 1e-6);
    let q = nn::linear(h.clone(), matrix.clone(), Some(b.clone()));
    let y = nn::attention(
        heads(q.clone()),
        heads(h.clone()),
        heads(h),
        &layout,
        true,
        0.2,
    );
    let y = nn::layer_norm(
        nn::swiglu(y.reshape([700, 96]), q),
        w.clone(),
        b.clone(),
        1e-6,
    );
    let targets: Vec<u32> = (0..700).map(|i| i * 7 % 300).collect();
    let stats = nn::linear_log_prob(y, table.clone(), &targets, 1.0);
    let mut grads = (stats.log_prob.clone() + stats.entropy).backward();
    let mut all = nn::to_vec(&stats.log_prob);
    for grad in [
        x.grad_remove(&mut grads),
        matrix.grad_remove(&mut grads),
        table.grad_remove(&mut grads),
    ] {
        all.extend(nn::to_vec(&grad.unwrap()));
    }
    for grad in [w.grad_remove(&mut grads), b.grad_remove(&mut grads)] {
        all.extend(nn::to_vec(&grad.unwrap()));
    }
    all.into_iter().map(f32::to_bits).collect()
}

#[test]
fn bits_depend_neither_on_the_run_nor_on_the_number_of_threads() {
    let expected = bits();
    for threads in [1, 2, 3, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        assert!(pool.install(bits) == expected, "{threads} threads");
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let mut numbers = values(1, 40 * 16);
    numbers[5 * 16 + 3] = f32::NAN;
    let bad: Tensor<2> = Tensor::from_data(TensorData::new(numbers, [40, 16]), &Device::flex());
    let good = constant(2, [40, 1, 16]);
    let layout = Arc::new(Layout::packed(&[20, 20]));
    let row_is_nan = |y: &[f32], row: usize| y[row * 16..(row + 1) * 16].iter().all(|v| v.is_nan());
    let as_head = bad.clone().reshape([40, 1, 16]);
    let y = nn::attention(
        as_head.clone(),
        good.clone(),
        good.clone(),
        &layout,
        true,
        1.0,
    );
    let y = nn::to_vec(&y);
    assert!((0..40).all(|row| row_is_nan(&y, row) == (row == 5)));
    let y = nn::to_vec(&nn::attention(
        good.clone(),
        as_head,
        good,
        &layout,
        true,
        1.0,
    ));
    assert!((0..40).all(|row| row_is_nan(&y, row) == (5..20).contains(&row)));
    let stats = nn::linear_log_prob(bad, constant(3, [50, 16]), &[7; 40], 1.0);
    for values in [nn::to_vec(&stats.log_prob), nn::to_vec(&stats.entropy)] {
        assert!((0..40).all(|row| values[row].is_nan() == (row == 5)));
    }
}

#[test]
fn nothing_is_recorded_outside_autodiff() {
    let (x, w) = (constant(1, [3, 4]), leaf(2, [5, 4]));
    assert!(nn::linear(x.clone(), w.clone(), None).is_tracked());
    assert!(!nn::linear(x, w.inner(), None).is_tracked());
}
