//! What holds for all operators: refusal of arguments that do not fit, the same bits every time,
//! numbers that are none, and no graph where none is wanted.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use common::{constant, leaf, values};
use percept_nn::{self as nn, Layout};

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

/// Rounding factors to eight bits changes a sum of products by at most 2⁻⁸ of the sum of their
/// absolute values, forward and backward.
#[test]
fn bfloat16_products_are_those_of_f32_within_the_rounding() {
    let Ok(bf16) = nn::Precision::bf16() else {
        println!("skipped: this machine does not multiply bfloat16");
        return;
    };
    let (x, w) = (leaf(1, [70, 40]), leaf(2, [50, 40]));
    let c = constant(3, [70, 50]);
    let results = [nn::Precision::F32, bf16].map(|precision| {
        let y = nn::linear_in(precision, x.clone(), w.clone(), None);
        let mut grads = (y.clone() * c.clone()).sum().backward();
        let [dx, dw] = [&x, &w].map(|leaf| nn::to_vec(&leaf.grad_remove(&mut grads).unwrap()));
        [nn::to_vec(&y), dx, dw]
    });
    let sizes = {
        let [x, w, c] = [x, w, c].map(|t| t.inner().abs());
        let y = nn::to_vec(&x.clone().matmul(w.clone().transpose()));
        let dx = nn::to_vec(&c.clone().matmul(w));
        [y, dx, nn::to_vec(&c.transpose().matmul(x))]
    };
    let [exact, rounded] = results;
    for ((exact, rounded), sizes) in exact.iter().zip(&rounded).zip(&sizes) {
        assert_ne!(exact, rounded);
        for ((e, r), size) in exact.iter().zip(rounded).zip(sizes) {
            assert!((e - r).abs() <= size / 256.0 + 1e-5, "{e} {r} {size}");
        }
    }
}
