//! Time of one training pass of the tiny model: groups of responses that share a prompt with one
//! 112 × 56 image.
//!
//! `bench_train [GROUPS] [RESPONSES] [RESPONSE TOKENS] [LAYERS] [decoder] [kept | selective | full]`;
//! the last word is what the backward pass computes again, and `peak` is then its memory. With
//! `decoder`, the model is the one of `percept bench` (hidden 512, 8/2 heads, inner 1,536,
//! vocabulary 8,192), without images.

use std::sync::Arc;
use std::time::Instant;

use percept_data::Patches;
use percept_kernels::{Layout, Recycler, Span};
use percept_model::{
    Device, Error, GradientCheckpointing, Model, PackedBatch, TinyConfig, VisionTokens,
};

/// As in the binary: freed memory is used again.
#[global_allocator]
static MEMORY: Recycler = Recycler::new(1 << 30);

const PROMPT: usize = 80;
const GRID: [usize; 3] = [1, 8, 16];

fn main() -> Result<(), Error> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let number = |i: usize, default: usize| numbers.get(i).copied().unwrap_or(default);
    let (groups, responses, len) = (number(0, 8), number(1, 8), number(2, 48));
    use GradientCheckpointing::{Full, Off, Selective};
    let modes: &[GradientCheckpointing] = match std::env::args().next_back().as_deref() {
        Some("kept") => &[Off; 5],
        Some("selective") => &[Selective; 5],
        Some("full") => &[Full; 5],
        _ => &[Off, Off, Selective, Full, Off, Selective, Full],
    };
    let decoder = std::env::args().any(|word| word == "decoder");
    let tokens = VisionTokens {
        image: 5,
        video: Some(6),
        start: Some(3),
        end: Some(4),
    };
    let layers = number(3, 4);
    let tiny = match decoder {
        false => TinyConfig {
            num_hidden_layers: layers,
            ..TinyConfig::default()
        },
        true => TinyConfig {
            num_hidden_layers: layers,
            hidden_size: 512,
            intermediate_size: 1536,
            num_attention_heads: 8,
            num_key_value_heads: 2,
            tie_word_embeddings: false,
            ..TinyConfig::default()
        },
    };
    let vocabulary = if decoder { 8192 } else { 256 };
    let config = tiny.config(vocabulary, tokens, 2, 0)?;
    let mut model = Model::init(config, 1, &Device::flex())?;
    let (mut batch, rows) = batch(groups, responses, len);
    if decoder {
        model.freeze_vision();
        batch.images.clear();
        batch.vision_index.clear();
    }
    let count = batch.tokens.len();
    println!("{count} rows, {} targets, {groups} images", rows.len());
    for &recompute in modes {
        let start = Instant::now();
        model.forward_no_grad(&batch)?;
        let plain = start.elapsed();
        let start = Instant::now();
        let (forward, grads) = model.forward_backward::<_, Error>(&batch, recompute, |hidden| {
            let forward = start.elapsed();
            let hidden = percept_nn::gather_rows(hidden, &rows);
            let targets: Vec<u32> = rows.iter().map(|row| row % vocabulary as u32).collect();
            let stats = percept_nn::linear_log_prob(hidden, model.lm_head(), &targets, 1.0);
            Ok((stats.log_prob.mean(), forward))
        })?;
        let whole = start.elapsed();
        let rate = rows.len() as f64 / whole.as_secs_f64();
        println!(
            "{recompute:?}: without autodiff {plain:.1?}, forward {forward:.1?}, forward \
             and backward {whole:.1?}, {rate:.0} targets/s, {} gradients",
            grads.iter().flatten().count()
        );
    }
    // Linux only; elsewhere nothing is printed.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM")) {
        println!("peak {}", peak.trim_start_matches("VmHWM:").trim());
    }
    Ok(())
}

fn batch(groups: usize, responses: usize, len: usize) -> (PackedBatch, Vec<u32>) {
    let mut batch = PackedBatch::default();
    let (mut spans, mut rows) = (Vec::new(), Vec::new());
    for group in 0..groups {
        let start = batch.tokens.len();
        spans.push(Span::alone(start, PROMPT));
        batch
            .tokens
            .extend((0..PROMPT).map(|i| (i * 7 % 200) as u32 + 7));
        batch.positions.extend((0..PROMPT as u32).map(|p| [p; 3]));
        let pixels = (0..128 * 294)
            .map(|i| ((i + group) * 31 % 101) as f32 / 50.0 - 1.0)
            .collect();
        batch.images.push(Arc::new(Patches {
            grid_thw: GRID,
            pixels,
        }));
        batch
            .vision_index
            .extend((start as u32 + 10)..(start as u32 + 42));
        for response in 0..responses {
            let first = batch.tokens.len();
            rows.push((start + PROMPT - 1) as u32);
            rows.extend((first..first + len).map(|row| row as u32));
            batch
                .tokens
                .extend((0..len).map(|i| ((i * 5 + response) % 200) as u32 + 7));
            let next = PROMPT as u32;
            batch
                .positions
                .extend((next..next + len as u32).map(|p| [p; 3]));
            let span = Span {
                start: first,
                len,
                prefix_start: start,
                prefix_len: PROMPT,
            };
            spans.push(span);
        }
    }
    batch.layout = Arc::new(Layout::new(spans, batch.tokens.len()).unwrap_or_default());
    (batch, rows)
}
