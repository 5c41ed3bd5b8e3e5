//! Time of every operator, forward and backward, against its definition in Burn's operations.
//!
//! `bench_ops [FILTER] [TOKENS] [REPETITIONS] [kernels]`: the best of so many runs, in milliseconds;
//! `kernels` leaves the definitions out. Shapes are
//! those of a tiny model (hidden 128, 4 heads of 32, 2 key/value heads, inner 384) at TOKENS tokens
//! (default 8192). Definitions that take seconds run twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use percept_kernels::Recycler;
use percept_nn::{self as nn, AdamW, Layout, Moments, Span, TokenStats, reference};

#[global_allocator]
static MEMORY: Recycler = Recycler::new(1 << 30);

const HIDDEN: usize = 128;
const INNER: usize = 384;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const DIM: usize = 32;

fn main() {
    let mut args = std::env::args().skip(1).peekable();
    let filter = args
        .next_if(|a| a.parse::<usize>().is_err())
        .unwrap_or_default();
    let tokens = args.next().and_then(|a| a.parse().ok()).unwrap_or(8192);
    let repetitions = args.next().and_then(|a| a.parse().ok()).unwrap_or(10);
    let definitions = args.next().is_none();
    println!("{tokens} tokens, {} threads", rayon::current_num_threads());
    println!(
        "{:<42}{:>10}{:>10}{:>10}{:>10}{:>8}",
        "", "forward", "both", "plain f", "plain b", "gain"
    );
    let bench = Bench {
        filter,
        repetitions,
        definitions,
    };
    products(&bench, tokens);
    row_wise(&bench, tokens);
    losses(&bench, tokens);
    attentions(&bench, tokens);
    optimiser(&bench);
}

fn products(bench: &Bench, tokens: usize) {
    for (name, inputs, outputs) in [
        ("linear 128 -> 128", HIDDEN, HIDDEN),
        ("linear 128 -> 384", HIDDEN, INNER),
        ("linear 384 -> 128", INNER, HIDDEN),
    ] {
        let (x, w, b) = (
            leaf(1, [tokens, inputs]),
            leaf(2, [outputs, inputs]),
            leaf(3, [outputs]),
        );
        bench.run(
            name,
            || nn::linear(x.clone(), w.clone(), Some(b.clone())),
            || reference::linear(x.clone(), w.clone(), Some(b.clone())),
        );
    }
}

fn row_wise(bench: &Bench, tokens: usize) {
    let (x, w, b) = (
        leaf(1, [tokens, HIDDEN]),
        leaf(2, [HIDDEN]),
        leaf(3, [HIDDEN]),
    );
    bench.run(
        "rms_norm",
        || nn::rms_norm(x.clone(), w.clone(), 1e-6),
        || reference::rms_norm(x.clone(), w.clone(), 1e-6),
    );
    bench.run(
        "layer_norm",
        || nn::layer_norm(x.clone(), w.clone(), b.clone(), 1e-6),
        || reference::layer_norm(x.clone(), w.clone(), b.clone(), 1e-6),
    );
    let (gate, up) = (leaf(1, [tokens, INNER]), leaf(2, [tokens, INNER]));
    bench.run(
        "swiglu",
        || nn::swiglu(gate.clone(), up.clone()),
        || reference::swiglu(gate.clone(), up.clone()),
    );
    bench.run(
        "quick_gelu",
        || nn::quick_gelu(gate.clone()),
        || reference::quick_gelu(gate.clone()),
    );
    bench.run(
        "gelu",
        || nn::gelu(gate.clone()),
        || reference::gelu(gate.clone()),
    );
    let q = leaf(1, [tokens, HEADS, DIM]);
    let (cos, sin) = (
        leaf(2, [tokens, DIM]).inner(),
        leaf(3, [tokens, DIM]).inner(),
    );
    bench.run(
        "rotary",
        || nn::rotary(q.clone(), cos.clone(), sin.clone()),
        || reference::rotary(q.clone(), cos.clone(), sin.clone()),
    );
    let table = leaf(1, [4096, HIDDEN]);
    let ids: Vec<u32> = (0..tokens).map(|i| (i * 37 % 4096) as u32).collect();
    bench.run(
        "embedding",
        || nn::embedding(table.clone(), &ids),
        || reference::embedding(table.clone(), &ids),
    );
    let rows: Vec<u32> = (0..tokens as u32).step_by(4).collect();
    let values = leaf(2, [rows.len(), HIDDEN]);
    bench.run(
        "scatter_rows",
        || nn::scatter_rows(x.clone(), &rows, values.clone()),
        || reference::scatter_rows(x.clone(), &rows, values.clone()),
    );
}

fn losses(bench: &Bench, tokens: usize) {
    for (name, vocabulary) in [
        ("linear_log_prob, V = 512", 512),
        ("linear_log_prob, V = 4096", 4096),
    ] {
        let (h, w) = (leaf(1, [tokens, HIDDEN]), leaf(2, [vocabulary, HIDDEN]));
        let targets: Vec<u32> = (0..tokens).map(|i| (i * 31 % vocabulary) as u32).collect();
        let both = |stats: TokenStats| stats.log_prob + stats.entropy;
        bench.run(
            name,
            || both(nn::linear_log_prob(h.clone(), w.clone(), &targets, 0.9)),
            || {
                both(reference::linear_log_prob(
                    h.clone(),
                    w.clone(),
                    &targets,
                    0.9,
                ))
            },
        );
        let second = [
            leaf(3, [tokens, HIDDEN]).inner(),
            leaf(4, [vocabulary, HIDDEN]).inner(),
        ];
        bench.run(
            &format!("  and divergence from a second, V = {vocabulary}"),
            || {
                let second = second.clone();
                let (stats, kl) =
                    nn::linear_log_prob_kl(h.clone(), w.clone(), &targets, 0.9, second);
                both(stats) + kl
            },
            || {
                let kl = reference::linear_kl(h.clone(), w.clone(), second.clone(), 0.9);
                both(reference::linear_log_prob(
                    h.clone(),
                    w.clone(),
                    &targets,
                    0.9,
                )) + kl
            },
        );
    }
}

/// Prompts of 80 tokens, each with eight responses of 48.
fn groups(tokens: usize) -> Layout {
    let (mut spans, mut at) = (Vec::new(), 0);
    while at < tokens {
        let prefix_start = at;
        spans.push(Span::alone(at, 80));
        at += 80;
        for _ in 0..8 {
            spans.push(Span {
                start: at,
                len: 48,
                prefix_start,
                prefix_len: 80,
            });
            at += 48;
        }
    }
    Layout::new(spans, at).unwrap_or_default()
}

fn attentions(bench: &Bench, tokens: usize) {
    for (name, layout, causal) in [
        (
            "attention, spans of 30",
            Layout::packed(&vec![30; tokens / 30]),
            true,
        ),
        ("attention, groups 80 + 8 x 48", groups(tokens), true),
        (
            "attention, windows of 64, full",
            Layout::packed(&vec![64; tokens / 64]),
            false,
        ),
        (
            "attention, spans of 512",
            Layout::packed(&vec![512; tokens / 512]),
            true,
        ),
        ("attention, one span", Layout::packed(&[tokens]), true),
    ] {
        let tokens = layout.len();
        let layout = Arc::new(layout);
        let q = leaf(1, [tokens, HEADS, DIM]);
        let (k, v) = (
            leaf(2, [tokens, KV_HEADS, DIM]),
            leaf(3, [tokens, KV_HEADS, DIM]),
        );
        let scale = (DIM as f32).powf(-0.5);
        bench.run(
            name,
            || nn::attention(q.clone(), k.clone(), v.clone(), &layout, causal, scale),
            || reference::attention(q.clone(), k.clone(), v.clone(), &layout, causal, scale),
        );
    }
}

fn optimiser(bench: &Bench) {
    let len = 1 << 20;
    let device = Device::flex();
    let (mut values, grad) = (
        Tensor::<1>::full([len], 0.5, &device),
        Tensor::<1>::full([len], 0.1, &device),
    );
    let mut moments = Moments::zeros(len, &device);
    let adamw = AdamW {
        lr: 1e-3,
        ..AdamW::default()
    };
    let mut step = 0;
    let time = bench.best(|| {
        step += 1;
        // Taken out, so that the update is in place.
        let old = std::mem::replace(&mut values, Tensor::zeros([0], &device));
        values = adamw.step(old, grad.clone(), &mut moments, step);
    });
    println!(
        "{:<34}{:>10.3}",
        "AdamW, 1 Mi parameters",
        1e3 * time.as_secs_f64()
    );
}

struct Bench {
    filter: String,
    repetitions: usize,
    definitions: bool,
}

impl Bench {
    fn run<const D: usize>(
        &self,
        name: &str,
        kernel: impl Fn() -> Tensor<D>,
        plain: impl Fn() -> Tensor<D>,
    ) {
        if !name.contains(&self.filter) {
            return;
        }
        let (forward, both) = self.times(kernel);
        if !self.definitions {
            let both = 1e3 * both.as_secs_f64();
            println!(
                "{name:<42}{:>10.3}{both:>10.3}",
                1e3 * forward.as_secs_f64()
            );
            return;
        }
        let (plain_forward, plain_both) = self.times(plain);
        let ms = |time: Duration| 1e3 * time.as_secs_f64();
        println!(
            "{name:<42}{:>10.3}{:>10.3}{:>10.3}{:>10.3}{:>7.1}x",
            ms(forward),
            ms(both),
            ms(plain_forward),
            ms(plain_both),
            plain_both.as_secs_f64() / both.as_secs_f64(),
        );
    }

    /// Forward alone, and forward with backward from a gradient of ones.
    fn times<const D: usize>(&self, f: impl Fn() -> Tensor<D>) -> (Duration, Duration) {
        let forward = self.best(|| drop(f()));
        let both = self.best(|| drop(f().backward()));
        (forward, both)
    }

    fn best(&self, mut f: impl FnMut()) -> Duration {
        let mut best = Duration::MAX;
        for done in 0..self.repetitions.max(1) {
            let start = Instant::now();
            f();
            best = best.min(start.elapsed());
            if done > 0 && best > Duration::from_millis(500) {
                break;
            }
        }
        best
    }
}

/// Numbers in −1..1 on the host, tracked by autodiff.
fn leaf<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
        .autodiff()
        .require_grad()
}
