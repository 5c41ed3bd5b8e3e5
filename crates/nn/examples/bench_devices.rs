//! Time of some operators, forward and backward, on a device beside the CPU.
//!
//! `bench_devices DEVICE [REPETITIONS]`, for example `bench_devices vulkan`: the best of so many runs, in milliseconds.
//! A run ends when its gradients are in host memory, on both sides. Shapes are those of a decoder of 20 million
//! parameters on 4 × 512 tokens.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use percept_kernels::sparse::{AttentionConfig, Phsa};
use percept_nn::{self as nn, Layout, sparse};

const HIDDEN: usize = 512;
const VOCABULARY: usize = 8192;
const HEADS: usize = 8;
const KV_HEADS: usize = 2;
const DIM: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "cpu".to_owned());
    let times = args.next().and_then(|n| n.parse().ok()).unwrap_or(5);
    let device = nn::parse_device(&name)?;
    println!("{name}, {} threads beside it", rayon::current_num_threads());
    println!("{:<44}{:>10}{:>10}", "", "device", "cpu");
    let bench = |what: &str, work: &dyn Fn(&Device)| {
        let best = |device: &Device| {
            work(device);
            (0..times).fold(f64::MAX, |best, _| {
                let start = Instant::now();
                work(device);
                best.min(start.elapsed().as_secs_f64() * 1e3)
            })
        };
        println!(
            "{what:<44}{:>10.2}{:>10.2}",
            best(&device),
            best(&Device::flex())
        );
    };
    bench("linear 4096 × 4096 × 4096", &|device| {
        let (x, w) = (leaf(device, [4096, 4096]), leaf(device, [4096, 4096]));
        finish(nn::linear(x.clone(), w, None), &x);
    });
    let layout = Arc::new(Layout::packed(&[512; 4]));
    bench("attention, 4 × 512 tokens", &|device| {
        let [q, k, v] = qkv(device, 2048);
        let out = nn::attention(q.clone(), k, v, &layout, true, 0.125);
        finish(out, &q);
    });
    let long = Arc::new(Layout::packed(&[4096]));
    bench("attention, 4,096 tokens", &|device| {
        let [q, k, v] = qkv(device, 4096);
        finish(nn::attention(q.clone(), k, v, &long, true, 0.125), &q);
    });
    let phsa = AttentionConfig::Phsa(Phsa::default()).pattern()?;
    let marks: Arc<[bool]> = (0..4096).map(|token| token % 11 == 10).collect();
    if let Some(phsa) = phsa {
        bench("PHSA, 4,096 tokens", &|device| {
            let [q, k, v] = qkv(device, 4096);
            let out = sparse::attention(&phsa, q.clone(), k, v, &long, &marks, 0.125);
            finish(out, &q);
        });
    }
    let targets: Vec<u32> = (0..2048).map(|row| row * 3).collect();
    bench("log-probability and entropy, 2,048 × 8,192", &|device| {
        let hidden = leaf(device, [2048, HIDDEN]);
        let weight = leaf(device, [VOCABULARY, HIDDEN]);
        let found = nn::linear_log_prob(hidden.clone(), weight, &targets, 1.0);
        finish(found.log_prob, &hidden);
    });
    Ok(())
}

/// The backward pass of the sum, and a gradient in host memory.
fn finish<const D: usize, const E: usize>(out: Tensor<D>, leaf: &Tensor<E>) {
    let grads = out.sum().backward();
    let grad = leaf.grad(&grads).map(|grad| nn::to_vec(&grad));
    std::hint::black_box(grad);
}

fn qkv(device: &Device, tokens: usize) -> [Tensor<3>; 3] {
    [HEADS, KV_HEADS, KV_HEADS].map(|heads| leaf(device, [tokens, heads, DIM]))
}

/// Numbers in −1..1, tracked by autodiff.
fn leaf<const D: usize>(device: &Device, shape: [usize; D]) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|i| (i.wrapping_mul(2_654_435_761) % 65_536) as f32 / 32_768.0 - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
        .autodiff()
        .require_grad()
}
