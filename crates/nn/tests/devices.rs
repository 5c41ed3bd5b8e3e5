//! Every operator on every device of this build that the machine has, against the CPU kernels:
//! values and gradients of all inputs.
//!
//! Which devices: `common/subjects.rs`. Both sides compute in f32; the tolerance is that of the
//! device, of the largest absolute value or of 0.01 where that is less.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/subjects.rs"]
mod subjects;

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use common::{constant_on, leaf_on, values};
use percept_kernels::sparse::{AttentionConfig, InfLlm2, Moba, Phsa, Sliding};
use percept_nn::{self as nn, AdamW, Layout, Moments, Span, sparse};
use subjects::subjects;

fn close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-2f32, |m, e| m.max(e.abs()));
    let mut worst = 0.0f32;
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let error = (f - e).abs() / scale;
        assert!(error <= tolerance, "{what}[{i}]: {f} for {e}");
        worst = worst.max(error);
    }
    println!("{what}: {worst:.1e}");
}

/// `result` of a device must be that of the CPU.
fn compare(what: &str, result: impl Fn(&Device) -> Vec<Vec<f32>>) {
    if subjects().is_empty() {
        return;
    }
    let expected = result(&Device::flex());
    for subject in subjects() {
        let found = result(&subject.device);
        assert_eq!(found.len(), expected.len(), "{what}");
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let what = format!("{} {what} {i}", subject.name);
            close(&what, found, expected, subject.tolerance);
        }
    }
}

/// The value of `f(leaves)` and the gradients of `Σ c·f(leaves)` with fixed coefficients `c`, the
/// leaves made on `device` from their shapes.
macro_rules! check {
    ($what:expr, |$device:ident $(, $leaf:ident: $shape:tt)+| $f:expr) => {
        compare($what, |$device| {
            let mut seed = 0;
            $(seed += 1; let $leaf = leaf_on($device, seed, $shape);)+
            let out = $f;
            let c = constant_on($device, 99, out.dims());
            let mut grads = (out.clone() * c).sum().backward();
            vec![nn::to_vec(&out) $(, nn::to_vec(&$leaf.grad_remove(&mut grads).unwrap()))+]
        })
    };
}

#[test]
fn linear() {
    for (rows, inputs, outputs) in [(1, 1, 1), (7, 5, 3), (300, 33, 48), (513, 256, 384)] {
        check!("linear", |device, x: [rows, inputs], w: [outputs, inputs], b: [outputs]| {
            nn::linear(x.clone(), w.clone(), Some(b.clone()))
        });
        check!("linear without bias", |device, x: [rows, inputs], w: [outputs, inputs]| {
            nn::linear(x.clone(), w.clone(), None)
        });
    }
}

#[test]
fn norms() {
    for (rows, width) in [(1, 5), (3, 17), (300, 64), (2000, 512)] {
        check!("rms_norm", |device, x: [rows, width], w: [width]| {
            nn::rms_norm(x.clone(), w.clone(), 1e-5)
        });
        check!("layer_norm", |device, x: [rows, width], w: [width], b: [width]| {
            nn::layer_norm(x.clone() + 2.0, w.clone(), b.clone(), 1e-5)
        });
    }
}

#[test]
fn activations() {
    check!("gelu", |device, x: [37, 19]| nn::gelu(x.clone() * 6.0));
    check!("quick_gelu", |device, x: [37, 19]| nn::quick_gelu(x.clone() * 6.0));
    check!("swiglu", |device, gate: [37, 19], up: [37, 19]| {
        nn::swiglu(gate.clone() * 4.0, up.clone())
    });
}

#[test]
fn rotary() {
    for (tokens, heads, dim) in [(140, 3, 10), (33, 8, 64)] {
        check!("rotary", |device, x: [tokens, heads, dim]| {
            let [cos, sin] = [4, 5].map(|seed| constant_on(device, seed, [tokens, dim]));
            nn::rotary(x.clone(), cos, sin)
        });
    }
}

#[test]
fn rows_move_and_their_gradients_add_up() {
    let ids = [3, 0, 3, 5, 3];
    check!("embedding", |device, table: [6, 5]| nn::embedding(table.clone(), &ids));
    check!("gather_rows", |device, x: [6, 5]| nn::gather_rows(x.clone(), &ids));
    check!("scatter_rows", |device, x: [7, 5], rows: [2, 5]| {
        nn::scatter_rows(x.clone(), &[6, 2], rows.clone())
    });
    let many: Vec<u32> = (0..3000).map(|i| i * i % 401).collect();
    check!("embedding of many", |device, table: [401, 64]| nn::embedding(table.clone(), &many));
}

#[test]
fn dot() {
    let c = values(7, 70);
    check!("dot", |device, x: [70]| nn::dot(x.clone(), &c));
}

#[test]
fn log_prob_and_entropy() {
    for (rows, width, vocabulary) in [(1, 3, 2), (40, 12, 83), (9, 8, 60_000), (700, 64, 8192)] {
        let targets: Vec<u32> = (0..rows).map(|i| (i * 31 % vocabulary) as u32).collect();
        check!("linear_log_prob", |device, h: [rows, width], w: [vocabulary, width]| {
            let stats = nn::linear_log_prob(h.clone(), w.clone() * 3.0, &targets, 0.7);
            Tensor::cat(vec![stats.log_prob, stats.entropy], 0)
        });
        compare("nucleus_entropy", |device| {
            let h = constant_on(device, 1, [rows, width]);
            let w = constant_on(device, 2, [vocabulary, width]);
            vec![nn::nucleus_entropy(&h, &w, 0.7, 0.9)]
        });
    }
}

/// Groups of a prompt and its responses.
fn groups(sizes: &[(usize, &[usize])]) -> Arc<Layout> {
    let (mut spans, mut at) = (Vec::new(), 0);
    for &(prefix_len, responses) in sizes {
        let prefix_start = at;
        spans.push(Span::alone(at, prefix_len));
        at += prefix_len;
        for &len in responses {
            spans.push(Span {
                start: at,
                len,
                prefix_start,
                prefix_len,
            });
            at += len;
        }
    }
    Arc::new(Layout::new(spans, at).unwrap())
}

#[test]
fn attention() {
    let layouts = [
        groups(&[(300, &[]), (1, &[]), (40, &[])]),
        groups(&[(7, &[3, 1, 5]), (20, &[4]), (64, &[32, 33, 1])]),
    ];
    for layout in &layouts {
        let tokens = layout.len();
        for (heads, kv_heads, dim) in [(2, 2, 8), (6, 2, 32), (4, 1, 64), (2, 1, 128), (2, 1, 6)] {
            for causal in [true, false] {
                let shape = [tokens, kv_heads, dim];
                check!("attention", |device, q: [tokens, heads, dim], k: shape, v: shape| {
                    let q = q.clone() * 3.0;
                    nn::attention(q, k.clone(), v.clone(), layout, causal, 0.8)
                });
            }
        }
    }
}

#[test]
fn sparse_attention() {
    let layout = groups(&[(203, &[90, 37]), (1, &[])]);
    let tokens = layout.len();
    let marks: Arc<[bool]> = (0..tokens).map(|t| t % 7 == 3).collect();
    let configs = [
        AttentionConfig::Phsa(Phsa {
            init: 16,
            local: 32,
            top_k: 2,
            ..Phsa::default()
        }),
        AttentionConfig::Sliding(Sliding {
            init: 16,
            window: 40,
        }),
        AttentionConfig::InfLlm2(InfLlm2 {
            window: 64,
            top_k: 1,
            ..InfLlm2::default()
        }),
        AttentionConfig::Moba(Moba {
            block_size: 32,
            top_k: 3,
        }),
    ];
    for config in configs {
        let pattern = config.pattern().unwrap().unwrap();
        for (heads, kv_heads, dim) in [(4, 2, 40), (3, 1, 64)] {
            let shape = [tokens, kv_heads, dim];
            let what = format!("{pattern:?}");
            check!(&what, |device, q: [tokens, heads, dim], k: shape, v: shape| {
                let (q, k, v) = (q.clone(), k.clone(), v.clone());
                sparse::attention(&pattern, q, k, v, &layout, &marks, 0.5)
            });
        }
    }
}

#[test]
fn adamw_and_the_norm_of_gradients() {
    compare("adamw", |device| {
        let adamw = AdamW {
            lr: 0.1,
            weight_decay: 0.1,
            grad_scale: 0.5,
            ..AdamW::default()
        };
        let mut moments = Moments::zeros(3000, device);
        let mut parameter: Tensor<1> = constant_on(device, 1, [3000]);
        for step in 1..=5 {
            let grad = constant_on(device, 10 + step as u64, [3000]);
            parameter = adamw.step(parameter, grad, &mut moments, step);
        }
        vec![
            nn::to_vec(&parameter),
            nn::to_vec(&moments.first),
            nn::to_vec(&moments.second),
        ]
    });
    compare("global_norm", |device| {
        let mut gradients = [(1, 5), (2, 70_000)].map(|(seed, n)| constant_on(device, seed, [n]));
        vec![vec![nn::global_norm(&mut gradients) as f32]]
    });
}
