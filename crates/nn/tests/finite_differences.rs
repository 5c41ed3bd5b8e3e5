//! Gradients of the kernels (f32) against central differences of the definitions in f64: the two
//! share neither code nor precision.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};
use percept_kernels::Precision;
use percept_kernels::train::KlDirection;
use percept_nn::{self as nn, Layout, Span, reference};

/// Deterministic values between −1 and 1, exact in f32.
fn values(seed: u64, len: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 40) as f64 / (1u64 << 23) as f64) - 1.0
        })
        .collect()
}

/// An argument of a function: its shape and values.
#[derive(Clone)]
struct Array {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Array {
    fn new(seed: u64, shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            values: values(seed, shape.iter().product()),
        }
    }

    fn shape<const D: usize>(&self) -> [usize; D] {
        self.shape.clone().try_into().unwrap()
    }

    fn exact<const D: usize>(&self) -> Tensor<D> {
        let data = TensorData::new(self.values.clone(), self.shape::<D>());
        Tensor::from_data(data, (&Device::flex(), DType::F64))
    }

    fn leaf(&self) -> Tensor<1> {
        let values: Vec<f32> = self.values.iter().map(|&v| v as f32).collect();
        let len = values.len();
        let tensor = Tensor::from_data(TensorData::new(values, [len]), &Device::flex());
        tensor.autodiff().require_grad()
    }
}

/// Compares `d Σ c·f / d arguments` of `kernel` with central differences of `definition`.
fn check<const D: usize>(
    name: &str,
    arguments: &[Array],
    kernel: impl Fn(&[Tensor<1>]) -> Tensor<D>,
    definition: impl Fn(&[Array]) -> Tensor<D>,
) {
    let leaves: Vec<Tensor<1>> = arguments.iter().map(Array::leaf).collect();
    let out = kernel(&leaves);
    let c = values(99, out.shape().num_elements());
    let coefficients: Vec<f32> = c.iter().map(|&v| v as f32).collect();
    let len = c.len();
    let mut grads = nn::dot(out.reshape([len]), &coefficients).backward();
    let value = |arguments: &[Array]| -> f64 {
        let values: Vec<f64> = definition(arguments).into_data().try_into_vec().unwrap();
        values.iter().zip(&c).map(|(v, c)| v * c).sum()
    };
    for (index, leaf) in leaves.iter().enumerate() {
        let found = nn::to_vec(&leaf.grad_remove(&mut grads).unwrap());
        let expected: Vec<f64> = (0..found.len())
            .map(|i| {
                let step = 1e-5;
                let at = |x: f64| {
                    let mut moved = arguments.to_vec();
                    moved[index].values[i] += x;
                    value(&moved)
                };
                (at(step) - at(-step)) / (2.0 * step)
            })
            .collect();
        let largest = expected.iter().fold(1e-3, |m: f64, e| m.max(e.abs()));
        for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
            let off = (f64::from(*f) - e).abs();
            assert!(
                off <= 5e-6 * largest,
                "{name}, argument {index}, element {i}: {f} for {e}"
            );
        }
    }
}

#[test]
fn products_and_norms() {
    let (x, w, b) = (
        Array::new(1, &[5, 7]),
        Array::new(2, &[4, 7]),
        Array::new(3, &[4]),
    );
    check(
        "linear",
        &[x.clone(), w, b],
        |a| {
            nn::linear(
                a[0].clone().reshape([5, 7]),
                a[1].clone().reshape([4, 7]),
                Some(a[2].clone()),
            )
        },
        |a| reference::linear(a[0].exact(), a[1].exact(), Some(a[2].exact())),
    );
    let (w, b) = (Array::new(4, &[7]), Array::new(5, &[7]));
    check(
        "rms_norm",
        &[x.clone(), w.clone()],
        |a| nn::rms_norm(a[0].clone().reshape([5, 7]), a[1].clone(), 1e-6),
        |a| reference::rms_norm(a[0].exact(), a[1].exact(), 1e-6),
    );
    check(
        "layer_norm",
        &[x, w, b],
        |a| {
            nn::layer_norm(
                a[0].clone().reshape([5, 7]),
                a[1].clone(),
                a[2].clone(),
                1e-6,
            )
        },
        |a| reference::layer_norm(a[0].exact(), a[1].exact(), a[2].exact(), 1e-6),
    );
}

#[test]
fn activations() {
    let (x, up) = (Array::new(1, &[3, 19]), Array::new(2, &[3, 19]));
    let matrix = |x: &Tensor<1>| x.clone().reshape([3, 19]) * 3.0;
    check(
        "gelu",
        std::slice::from_ref(&x),
        |a| nn::gelu(matrix(&a[0])),
        |a| reference::gelu(a[0].exact::<2>() * 3.0),
    );
    check(
        "quick_gelu",
        std::slice::from_ref(&x),
        |a| nn::quick_gelu(matrix(&a[0])),
        |a| reference::quick_gelu(a[0].exact::<2>() * 3.0),
    );
    check(
        "swiglu",
        &[x, up],
        |a| nn::swiglu(matrix(&a[0]), matrix(&a[1])),
        |a| reference::swiglu(a[0].exact::<2>() * 3.0, a[1].exact::<2>() * 3.0),
    );
}

#[test]
fn rotations_and_rows() {
    let (cos, sin) = (Array::new(7, &[4, 6]), Array::new(8, &[4, 6]));
    let table = |array: &Array| array.leaf().inner().reshape([4, 6]);
    check(
        "rotary",
        &[Array::new(1, &[4, 3, 6])],
        |a| nn::rotary(a[0].clone().reshape([4, 3, 6]), table(&cos), table(&sin)),
        |a| reference::rotary(a[0].exact(), cos.exact(), sin.exact()),
    );
    let ids = [3, 0, 3, 3];
    check(
        "embedding",
        &[Array::new(1, &[4, 5])],
        |a| nn::embedding(a[0].clone().reshape([4, 5]), &ids),
        |a| reference::embedding(a[0].exact(), &ids),
    );
    check(
        "scatter_rows",
        &[Array::new(1, &[4, 5]), Array::new(2, &[2, 5])],
        |a| {
            nn::scatter_rows(
                a[0].clone().reshape([4, 5]),
                &[3, 1],
                a[1].clone().reshape([2, 5]),
            )
        },
        |a| reference::scatter_rows(a[0].exact(), &[3, 1], a[1].exact()),
    );
}

#[test]
fn log_probability_and_entropy() {
    let (h, w) = (Array::new(1, &[6, 5]), Array::new(2, &[11, 5]));
    let targets = [0, 10, 3, 3, 7, 1];
    let both = |stats: nn::TokenStats| Tensor::cat(vec![stats.log_prob, stats.entropy], 0);
    check(
        "linear_log_prob",
        &[h, w],
        |a| {
            let (h, w) = (a[0].clone().reshape([6, 5]), a[1].clone().reshape([11, 5]));
            both(nn::linear_log_prob(h, w, &targets, 0.5))
        },
        |a| {
            both(reference::linear_log_prob(
                a[0].exact(),
                a[1].exact(),
                &targets,
                0.5,
            ))
        },
    );
}

#[test]
fn divergence_from_a_second_distribution() {
    let (h, w) = (Array::new(1, &[6, 5]), Array::new(2, &[11, 5]));
    let (other_h, other_w) = (Array::new(3, &[6, 4]), Array::new(4, &[11, 4]));
    let targets = [0, 10, 3, 3, 7, 1];
    check(
        "linear_log_prob_kl",
        &[h, w],
        |a| {
            let (h, w) = (a[0].clone().reshape([6, 5]), a[1].clone().reshape([11, 5]));
            let second = [
                other_h.leaf().reshape([6, 4]),
                other_w.leaf().reshape([11, 4]),
            ];
            nn::linear_log_prob_kl(h, w, &targets, 0.5, second).1
        },
        |a| {
            let second = [other_h.exact(), other_w.exact()];
            reference::linear_kl(a[0].exact(), a[1].exact(), second, 0.5)
        },
    );
}

#[test]
fn divergence_of_a_second_distribution() {
    let (h, w) = (Array::new(1, &[6, 5]), Array::new(2, &[11, 5]));
    let (other_h, other_w) = (Array::new(3, &[6, 4]), Array::new(4, &[11, 4]));
    let targets = [0, 10, 3, 3, 7, 1];
    check(
        "linear_log_prob_kl, forward",
        &[h, w],
        |a| {
            let (h, w) = (a[0].clone().reshape([6, 5]), a[1].clone().reshape([11, 5]));
            let second = [
                other_h.leaf().reshape([6, 4]),
                other_w.leaf().reshape([11, 4]),
            ];
            let (precision, direction) = (Precision::F32, KlDirection::Forward);
            nn::linear_log_prob_kl_in(precision, h, w, &targets, 0.5, second, direction).1
        },
        |a| {
            let second = [other_h.exact(), other_w.exact()];
            reference::linear_forward_kl(a[0].exact(), a[1].exact(), second, 0.5)
        },
    );
}

#[test]
fn attention_over_prefixes_of_prefixes() {
    // A prompt, two responses, and a continuation that sees the end of the prompt and the start of
    // the first response.
    let spans = vec![
        Span::alone(0, 3),
        Span {
            start: 3,
            len: 2,
            prefix_start: 0,
            prefix_len: 3,
        },
        Span {
            start: 5,
            len: 3,
            prefix_start: 0,
            prefix_len: 3,
        },
        Span {
            start: 8,
            len: 2,
            prefix_start: 1,
            prefix_len: 3,
        },
        Span::alone(10, 2),
    ];
    let layout = Arc::new(Layout::new(spans, 12).unwrap());
    let (q, k, v) = (
        Array::new(1, &[12, 4, 5]),
        Array::new(2, &[12, 2, 5]),
        Array::new(3, &[12, 2, 5]),
    );
    for causal in [true, false] {
        let cut = |x: &Tensor<1>, heads: usize| x.clone().reshape([12, heads, 5]);
        check(
            "attention",
            &[q.clone(), k.clone(), v.clone()],
            |a| {
                nn::attention(
                    cut(&a[0], 4),
                    cut(&a[1], 2),
                    cut(&a[2], 2),
                    &layout,
                    causal,
                    1.3,
                )
            },
            |a| {
                let [q, k, v] = [0, 1, 2].map(|i| a[i].exact());
                reference::attention(q, k, v, &layout, causal, 1.3)
            },
        );
    }
}
