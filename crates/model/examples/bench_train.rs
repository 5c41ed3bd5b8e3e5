//! Time of one training pass of the tiny model: groups of responses that share a prompt with one
//! 112 × 56 image.
//!
//! `bench_train [GROUPS] [RESPONSES] [RESPONSE TOKENS] [LAYERS] [kept | recompute]`; the last
//! word runs one of the two ways of the backward pass, and `peak` is then its memory.

use std::sync::Arc;
use std::time::Instant;

use percept_data::Patches;
use percept_model::{Device, Error, Model, PackedBatch, TinyConfig, VisionTokens};
use percept_nn::{Layout, Span};

const PROMPT: usize = 80;
const GRID: [usize; 3] = [1, 8, 16];

fn main() -> Result<(), Error> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let number = |i: usize, default: usize| numbers.get(i).copied().unwrap_or(default);
    let (groups, responses, len) = (number(0, 8), number(1, 8), number(2, 48));
    let modes: &[bool] = match std::env::args().next_back().as_deref() {
        Some("kept") => &[false, false],
        Some("recompute") => &[true, true],
        _ => &[false, false, false, true, true],
    };
    let tokens = VisionTokens {
        image: 5,
        video: 6,
        start: 3,
        end: 4,
    };
    let tiny = TinyConfig {
        num_hidden_layers: number(3, 4),
        ..TinyConfig::default()
    };
    let config = tiny.config(256, tokens, 2, 0)?;
    let model = Model::init(config, 1, &Device::flex())?;
    let (batch, rows) = batch(groups, responses, len);
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
            let targets: Vec<u32> = rows.iter().map(|row| row % 256).collect();
            let stats = percept_nn::linear_log_prob(hidden, model.lm_head(), &targets, 1.0);
            Ok((stats.log_prob.mean(), forward))
        })?;
        let whole = start.elapsed();
        let rate = rows.len() as f64 / whole.as_secs_f64();
        println!(
            "recompute {recompute}: without autodiff {plain:.1?}, forward {forward:.1?}, forward \
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
