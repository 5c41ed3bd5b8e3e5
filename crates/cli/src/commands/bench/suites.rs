//! What is measured. A row's name is also the peer's.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Tensor;
use percept_base::random::uniform;
use percept_kernels::decode::WeightDtype;
use percept_model::{Decoder, Device, Sequence};
use percept_nn::{self as nn, AdamW, Layout, Moments, Precision};
use percept_sampler::{SamplingParams, draw, draw_from};
use percept_train::{Learner, Packed, PassOptions, Policy};
use rayon::prelude::*;

use super::engine::engine;
use super::grpo::grpo;
use super::long;
use super::measure::{best, memory, peak_since};
use super::row::{Row, Unit};
use super::subject::{
    DIM, HEADS, HIDDEN, INNER, KV_HEADS, VOCABULARY, decoder, group, leaf_on, learner, mean_loss,
    prompt, sft, tokens, vision_language,
};
use super::suite::Suite;
use crate::shared::Failure;

/// `folder` is for what a suite shares with its peer.
pub fn run(
    suite: Suite,
    device: &Device,
    repeat: usize,
    folder: &Path,
    rows: &mut Vec<Row>,
) -> Result<(), Failure> {
    match suite {
        Suite::Roofline => roofline(device, repeat, rows),
        Suite::Operators => operators(device, repeat, rows),
        Suite::LogProb => log_prob(device, rows),
        Suite::Sft => train_step(device, Precision::F32, suite, repeat, rows)?,
        Suite::SftBf16 => {
            if let Some(bf16) = bf16(device) {
                train_step(device, bf16, suite, repeat, rows)?;
            }
        }
        Suite::Group => shared_prompt(device, repeat, rows)?,
        Suite::Grpo => grpo(repeat, folder, rows)?,
        Suite::Decode => decode(repeat, rows)?,
        Suite::Attention => long::attention(repeat, rows)?,
    }
    Ok(())
}

/// Rows and columns of the product that stands for the machine's arithmetic.
const SIDE: usize = 1536;

/// bfloat16, where products on `device` have it.
fn bf16(device: &Device) -> Option<Precision> {
    Precision::bf16().ok().filter(|_| *device == Device::flex())
}

/// [`best`] of work that is over only when the device is done.
fn best_on(device: &Device, repeat: usize, mut work: impl FnMut()) -> f64 {
    best(repeat, || {
        work();
        // A device that failed says so where its results are read.
        let _ = device.sync();
    })
}

fn roofline(device: &Device, repeat: usize, rows: &mut Vec<Row>) {
    let [a, b] = [1, 2].map(|seed| leaf_on(device, seed, [SIDE, SIDE]).inner());
    let ms = best_on(device, repeat, || {
        black_box(nn::linear(a.clone(), b.clone(), None));
    });
    let flops = 2.0 * (SIDE as f64).powi(3);
    rows.push(Row::new("roofline/product", Unit::Gflops, flops / ms / 1e6));
    if let Some(bf16) = bf16(device) {
        let ms = best(repeat, || {
            black_box(nn::linear_in(bf16, a.clone(), b.clone(), None));
        });
        let name = "roofline/product, bf16";
        rows.push(Row::new(name, Unit::Gflops, flops / ms / 1e6));
    }
    if *device != Device::flex() {
        return;
    }
    let (from, mut to) = (vec![1.0f32; 1 << 26], vec![0.0f32; 1 << 26]);
    let ms = best(repeat, || {
        to.par_chunks_mut(1 << 16)
            .zip(from.par_chunks(1 << 16))
            .for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&mut to);
    });
    let bytes = (2 * size_of_val(from.as_slice())) as f64;
    rows.push(Row::new(
        "roofline/copy",
        Unit::GigabytesPerSecond,
        bytes / ms / 1e6,
    ));
}

fn operators(device: &Device, repeat: usize, rows: &mut Vec<Row>) {
    const TOKENS: usize = 2048;
    let mut measure = |name: &str, work: &dyn Fn()| {
        let ms = best_on(device, repeat, work);
        rows.push(Row::new(
            &format!("operators/{name}"),
            Unit::Milliseconds,
            ms,
        ));
    };
    let x = leaf_on(device, 1, [TOKENS, HIDDEN]);
    let weight = leaf_on(device, 2, [HIDDEN]);
    measure("rms_norm", &|| {
        nn::rms_norm(x.clone(), weight.clone(), 1e-6).backward();
    });
    let (gate, up) = (
        leaf_on(device, 3, [TOKENS, INNER]),
        leaf_on(device, 4, [TOKENS, INNER]),
    );
    measure("swiglu", &|| {
        nn::swiglu(gate.clone(), up.clone()).backward();
    });
    // Queries and keys of a token: ten heads.
    let both = leaf_on(device, 5, [TOKENS, HEADS + KV_HEADS, DIM]);
    let (cos, sin) = (
        leaf_on(device, 6, [TOKENS, DIM]).inner(),
        leaf_on(device, 7, [TOKENS, DIM]).inner(),
    );
    measure("rotary", &|| {
        nn::rotary(both.clone(), cos.clone(), sin.clone()).backward();
    });
    let weight = leaf_on(device, 8, [INNER, HIDDEN]);
    measure("linear", &|| {
        nn::linear(x.clone(), weight.clone(), None).backward();
    });
    let layout = Arc::new(Layout::packed(&[512; 4]));
    let q = leaf_on(device, 9, [TOKENS, HEADS, DIM]);
    let [k, v] = [10, 11].map(|seed| leaf_on(device, seed, [TOKENS, KV_HEADS, DIM]));
    measure("attention", &|| {
        let scale = (DIM as f32).powf(-0.5);
        nn::attention(q.clone(), k.clone(), v.clone(), &layout, true, scale).backward();
    });
    let table = leaf_on(device, 12, [VOCABULARY, HIDDEN]);
    let ids: Vec<u32> = (0..TOKENS).map(|i| (i * 37 % VOCABULARY) as u32).collect();
    measure("embedding", &|| {
        nn::embedding(table.clone(), &ids).backward();
    });
    let count = 1 << 22;
    let [values, grad] = [0.5, 0.1].map(|x| Tensor::<1>::full([count], x, device));
    // Taken out by each update, so that it happens in place.
    let mut values = Some(values);
    let (mut moments, mut step) = (Moments::zeros(count, device), 0);
    let adamw = AdamW::default();
    let ms = best_on(device, repeat, || {
        step += 1;
        let old = values.take();
        values = old.map(|old| adamw.step(old, grad.clone(), &mut moments, step));
    });
    rows.push(Row::new("operators/adamw", Unit::Milliseconds, ms));
}

fn log_prob(device: &Device, rows: &mut Vec<Row>) {
    const TOKENS: usize = 4096;
    const WIDE: usize = 151_936;
    let (hidden, weight) = (
        leaf_on(device, 1, [TOKENS, HIDDEN]),
        leaf_on(device, 2, [WIDE, HIDDEN]).mul_scalar(0.02),
    );
    let weight = weight.detach().require_grad();
    let targets: Vec<u32> = (0..TOKENS).map(|i| (i * 31 % WIDE) as u32).collect();
    let work = || {
        let found = nn::linear_log_prob(hidden.clone(), weight.clone(), &targets, 1.0);
        found.log_prob.backward();
    };
    // Above the inputs; the gradients count on both sides.
    let before = memory();
    // A run takes seconds: one that does not count, one for time.
    let ms = best_on(device, 1, work);
    let memory = peak_since(before);
    let name = "log_prob/forward and backward";
    rows.push(Row::new(name, Unit::Milliseconds, ms));
    // What is counted is the memory of the process, not that of a device.
    let memory = memory.filter(|_| *device == Device::flex());
    rows.extend(memory.map(|mib| Row::new("log_prob/peak memory", Unit::Mebibytes, mib)));
}

/// A forward and backward pass and an optimiser step.
fn update(learner: &mut Learner, packed: &Packed) -> Result<(), Failure> {
    let pass = learner.forward(packed, &PassOptions::default(), 0)?;
    learner.backward(pass.saved, &mean_loss(&pass.values))?;
    learner.optim_step(&percept_train::OptimConfig::default(), 1e-4)?;
    Ok(())
}

/// [`update`] as work to be measured; the first failure is kept.
fn updates<'a>(
    learner: &'a mut Learner,
    packed: &'a Packed,
    failed: &'a mut Option<Failure>,
) -> impl FnMut() + 'a {
    move || {
        if let Err(failure) = update(learner, packed) {
            failed.get_or_insert(failure);
        }
    }
}

fn train_step(
    device: &Device,
    precision: Precision,
    suite: Suite,
    repeat: usize,
    rows: &mut Vec<Row>,
) -> Result<(), Failure> {
    let before = memory();
    let packed = sft(4, 512)?;
    let count = packed.batch.tokens.len() as f64;
    let mut model = decoder(device)?;
    model.set_precision(precision);
    let mut learner = learner(model)?;
    let mut failed = None;
    let ms = best_on(device, repeat, updates(&mut learner, &packed, &mut failed));
    failed.map_or(Ok(()), Err)?;
    let name = suite.name();
    let rate = count / ms * 1e3;
    rows.push(Row::new(
        &format!("{name}/step"),
        Unit::TokensPerSecond,
        rate,
    ));
    let name = format!("{name}/peak memory");
    let peak = peak_since(before).filter(|_| *device == Device::flex());
    rows.extend(peak.map(|mib| Row::new(&name, Unit::Mebibytes, mib)));
    Ok(())
}

fn shared_prompt(device: &Device, repeat: usize, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let prompt = prompt(1024, 0, true);
    let answers: Vec<Vec<u32>> = (0..8).map(|seed| tokens(128, seed)).collect();
    let mut learner = learner(vision_language(device)?)?;
    let mut failed = None;
    let [shared, repeated] = [true, false].map(|share| {
        let packed = group(&prompt, &answers, share)?;
        let work = updates(&mut learner, &packed, &mut failed);
        Ok::<_, Failure>(best_on(device, repeat, work))
    });
    failed.map_or(Ok(()), Err)?;
    let mut row = Row::new("group/update, prompt shared", Unit::Milliseconds, shared?);
    row.without = Some(repeated?);
    rows.push(row);
    Ok(())
}

fn decode(repeat: usize, rows: &mut Vec<Row>) -> Result<(), Failure> {
    const PROMPT: usize = 16;
    const NEW: usize = 128;
    let mut model = decoder(&Device::flex())?;
    for dtype in [WeightDtype::F32, WeightDtype::Bf16, WeightDtype::Int8] {
        let Ok(dtype) = dtype.checked() else { continue };
        model.set_decoder_dtype(dtype);
        let decoder = Decoder::new(&model)?;
        for batch in [1, 16, 64] {
            let ms = best(repeat, || sample(&decoder, batch, PROMPT, NEW));
            let count = (batch * NEW) as f64;
            let name = match dtype {
                WeightDtype::F32 => format!("decode/batch {batch}"),
                WeightDtype::Bf16 => format!("decode/batch {batch}, bf16"),
                WeightDtype::Int8 => format!("decode/batch {batch}, int8"),
            };
            let rate = count / ms * 1e3;
            rows.push(Row::new(&name, Unit::TokensPerSecond, rate));
            if (batch, dtype) == (64, WeightDtype::F32) {
                engine(&model, (batch, PROMPT, NEW), (repeat, Some(rate)), rows)?;
            }
        }
    }
    Ok(())
}

/// Prompts of their own for each sequence, then one token at a time.
fn sample(decoder: &Decoder, batch: usize, prompt: usize, new: usize) {
    let params = SamplingParams::default();
    let positions: Vec<[u32; 3]> = (0..prompt as u32).map(|at| [at; 3]).collect();
    let prefixes: Vec<_> = (0..batch)
        .into_par_iter()
        .map(|row| {
            let tokens = tokens(prompt, row);
            let rows = decoder.embed(&tokens);
            decoder.prefill(rows, &tokens, &positions, prompt as u32)
        })
        .collect();
    let mut sequences: Vec<Sequence> = prefixes.iter().map(|p| decoder.start(p, new)).collect();
    let u = |row: usize, step: usize| uniform(0, row as u64, 0, step as u64);
    let first = prefixes.iter().enumerate();
    let mut next: Vec<u32> = first
        .map(|(row, prefix)| draw(prefix.logits(), &params, &[], u(row, 0)).token)
        .collect();
    let (mut logits, mut masses) = (Vec::new(), Vec::new());
    for step in 1..new {
        decoder.step_masses(&mut sequences, &next, 1.0, &mut logits, &mut masses);
        next.par_iter_mut()
            .zip(logits.par_chunks(decoder.vocab_size()))
            .zip(masses.par_chunks(masses.len() / batch))
            .enumerate()
            .for_each(|(row, ((next, logits), masses))| {
                *next = draw_from(logits, masses, &params, &[], u(row, step)).token;
            });
    }
    black_box(next);
}
