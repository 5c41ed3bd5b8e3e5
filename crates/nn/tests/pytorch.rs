//! Every operator against PyTorch: values and gradients of all inputs, of ragged shapes.
//!
//! `golden/operators.json` is made by `tools/operator_goldens.py` in float64 from inputs that both
//! sides make from a seed; see [`common::Summary`] for what is compared. M-RoPE's tables belong to
//! the model: `crates/model/tests/mrope.rs`.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use common::{Summary, constant, leaf, values};
use percept_nn::{self as nn, AdamW, Layout, Moments, Span};
use serde::Deserialize;

/// Of the largest value or the norm; the aim is 1e-4.
const TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct Golden {
    attention: Vec<AttentionCase>,
    operators: Vec<Case>,
}

#[derive(Deserialize)]
struct AttentionCase {
    name: String,
    /// Start, length, start and length of the prefix.
    spans: Vec<[usize; 4]>,
    heads: usize,
    kv_heads: usize,
    dim: usize,
    causal: bool,
    /// The result and the gradients of q, k, v.
    arrays: Vec<Summary>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// The result and the gradients of the arguments, in their order.
    arrays: Vec<Summary>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/operators.json")).unwrap()
}

fn check(name: &str, found: &[Vec<f32>], expected: &[Summary]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let part = match index {
            0 => "result".to_owned(),
            _ => format!("gradient {index}"),
        };
        expected.check(&format!("{name}, {part}"), found, TOLERANCE);
    }
}

/// The result and the gradients of `Σ c·f(leaves)`.
macro_rules! evaluate {
    ($f:expr, $($leaf:expr),+) => {{
        let out = $f;
        let shape = out.dims();
        let mut grads = (out.clone() * constant(99, shape)).sum().backward();
        vec![nn::to_vec(&out), $(nn::to_vec(&$leaf.grad_remove(&mut grads).unwrap())),+]
    }};
}

#[test]
fn attention_at_the_head_sizes_and_groups_of_models() {
    let cases = golden().attention;
    assert_eq!(cases.len(), 4 * 4 * 3);
    for case in cases {
        let AttentionCase {
            heads,
            kv_heads,
            dim,
            ..
        } = case;
        let spans = case
            .spans
            .iter()
            .map(|&[start, len, prefix_start, prefix_len]| Span {
                start,
                len,
                prefix_start,
                prefix_len,
            });
        let tokens = case.spans.iter().map(|span| span[1]).sum();
        let layout = Arc::new(Layout::new(spans.collect(), tokens).unwrap());
        let q = leaf(1, [tokens, heads, dim]);
        let [k, v] = [2, 3].map(|seed| leaf(seed, [tokens, kv_heads, dim]));
        let scale = (dim as f32).powf(-0.5);
        let found = evaluate!(
            nn::attention(
                q.clone() * 3.0,
                k.clone(),
                v.clone(),
                &layout,
                case.causal,
                scale
            ),
            q,
            k,
            v
        );
        let name = format!("{} {heads}/{kv_heads} heads of {dim}", case.name);
        check(&name, &found, &case.arrays);
    }
}

#[test]
fn all_other_operators() {
    let mut cases: BTreeMap<String, Vec<Summary>> = golden()
        .operators
        .into_iter()
        .map(|case| (case.name, case.arrays))
        .collect();
    let mut compare = |name: &str, found: Vec<Vec<f32>>| {
        let expected = cases.remove(name);
        check(
            name,
            &found,
            &expected.unwrap_or_else(|| panic!("no golden of {name}")),
        );
    };
    norms(&mut compare);
    activations(&mut compare);
    rotations(&mut compare);
    rows(&mut compare);
    products(&mut compare);
    compare("adamw", adamw());
    assert!(cases.is_empty(), "not compared: {:?}", cases.keys());
}

type Compare<'a> = &'a mut dyn FnMut(&str, Vec<Vec<f32>>);

fn norms(compare: Compare) {
    let (x, w, b) = (leaf(1, [131, 80]), leaf(2, [80]), leaf(3, [80]));
    let out = nn::rms_norm(x.clone(), w.clone(), 1e-5);
    compare("rms_norm", evaluate!(out, x, w));
    let out = nn::layer_norm(x.clone() + 2.0, w.clone(), b.clone(), 1e-5);
    compare("layer_norm", evaluate!(out, x, w, b));
}

fn activations(compare: Compare) {
    let (gate, up) = (leaf(1, [131, 77]), leaf(2, [131, 77]));
    let out = nn::swiglu(gate.clone() * 4.0, up.clone());
    compare("swiglu", evaluate!(out, gate, up));
    let out = nn::gelu(gate.clone() * 6.0);
    compare("gelu", evaluate!(out, gate));
    let out = nn::quick_gelu(gate.clone() * 6.0);
    compare("quick_gelu", evaluate!(out, gate));
}

fn rotations(compare: Compare) {
    for dim in [32, 64, 80, 128] {
        let x = leaf(1, [131, 3, dim]);
        let [cos, sin] = [4, 5].map(|seed| constant(seed, [131, dim]));
        let out = nn::rotary(x.clone(), cos, sin);
        compare(&format!("rotary/{dim}"), evaluate!(out, x));
    }
}

fn rows(compare: Compare) {
    let table = leaf(1, [50, 33]);
    let ids: Vec<u32> = (0..131).map(|i| i * 37 % 43).collect();
    let out = nn::embedding(table.clone(), &ids);
    compare("embedding", evaluate!(out, table));
    let (x, rows) = (leaf(1, [60, 33]), leaf(2, [7, 33]));
    let out = nn::scatter_rows(x.clone(), &[3, 59, 0, 12, 31, 4, 40], rows.clone());
    compare("scatter_rows", evaluate!(out, x, rows));
}

fn products(compare: Compare) {
    let (x, w, b) = (leaf(1, [131, 96]), leaf(2, [77, 96]), leaf(3, [77]));
    let out = nn::linear(x.clone(), w.clone(), Some(b.clone()));
    compare("linear", evaluate!(out, x, w, b));
    let out = nn::linear(x.clone(), w.clone(), None);
    compare("linear without bias", evaluate!(out, x, w));
    for (rows, width, vocabulary, temperature) in [(40, 12, 83, 0.7), (300, 32, 5003, 1.3)] {
        let (h, w) = (leaf(1, [rows, width]), leaf(2, [vocabulary, width]));
        let targets: Vec<u32> = (0..rows).map(|i| (i * 31 % vocabulary) as u32).collect();
        let stats = nn::linear_log_prob(h.clone(), w.clone() * 3.0, &targets, temperature);
        let out = Tensor::cat(vec![stats.log_prob, stats.entropy], 0);
        compare(
            &format!("linear_log_prob/{vocabulary}"),
            evaluate!(out, h, w),
        );
    }
}

/// Parameters and both moments after five steps.
fn adamw() -> Vec<Vec<f32>> {
    const COUNT: usize = 20_011;
    let adamw = AdamW {
        lr: 3e-3,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weight_decay: 0.1,
        grad_scale: 0.5,
    };
    let device = Device::flex();
    let numbers =
        |seed| Tensor::<1>::from_data(TensorData::new(values(seed, COUNT), [COUNT]), &device);
    let (mut parameter, mut moments) = (numbers(1), Moments::zeros(COUNT, &device));
    for step in 0..5 {
        let grad = numbers(10 + step as u64);
        parameter = adamw.step(parameter, grad, &mut moments, step + 1);
    }
    [parameter, moments.first, moments.second]
        .map(|values| nn::to_vec(&values))
        .to_vec()
}
