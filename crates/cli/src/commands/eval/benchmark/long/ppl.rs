//! `--task ppl`

use std::path::Path;

use percept_benchmarks::long::{Perplexity, perplexity, windows};
use percept_model::{Decoder, Model, Processor};
use percept_report::Page;
use serde_json::{Value, json};

use super::super::output::{add_table, cells, print};
use super::LongArgs;
use crate::shared::progress::Counter;
use crate::shared::{Done, Failure, Global, open};

pub fn run(
    args: &LongArgs,
    global: &Global,
    model: &Model,
    processor: &Processor,
    path: &Path,
    text: &str,
) -> Result<Done, Failure> {
    let tokens = processor.encode_document(text)?;
    if tokens.len() < 2 {
        return Err(Failure::new(format!(
            "--text {}: {} tokens; expected 2 or more",
            path.display(),
            tokens.len()
        )));
    }
    let quiet = global.quiet || global.json;
    let decoder = Decoder::new(model)?;
    let mut table = vec![cells(["length", "perplexity", "95 %", "tokens scored"])];
    let (mut summaries, mut records) = (Vec::new(), Vec::new());
    for &length in &args.length {
        let stride = args.stride.unwrap_or(length.div_ceil(2));
        if length < 2 || stride > length {
            return Err(Failure::new(format!(
                "--length {length} with --stride {stride}: expected a length of 2 or more and a stride of at most \
                 the length"
            )));
        }
        let mut counter = Counter::new(&format!("length {length}: "), quiet);
        let found = score(
            &decoder,
            &tokens,
            length,
            stride,
            args.output.limit,
            |done, total| counter.tell(done, total, "windows"),
        );
        records.extend(found.iter().enumerate().map(|(window, (nll, scored))| {
            json!({ "length": length, "window": window, "nll": nll, "tokens": scored })
        }));
        let found = perplexity(&found);
        table.push(row(length, &found));
        let mut one = serde_json::to_value(&found)?;
        one["length"] = json!(length);
        one["stride"] = json!(stride);
        summaries.push(one);
    }
    let mut summary = json!({
        "benchmark": "long",
        "task": "ppl",
        "attention": model.config().attention.config(),
        "score": summaries,
    });
    print(global, &table, std::slice::from_ref(&summary))?;
    let mut page = Page::new("Perplexity");
    page.text(&format!(
        "exp of the mean negative log-likelihood of a token in sliding windows of {}; 95 % bootstrap intervals over \
         windows. Attention: {}.",
        path.display(),
        json!(model.config().attention.config())
    ));
    add_table(&mut page, &table);
    summary["answered_by"] = open::weights(&args.model)?;
    summary["text"] = json!(args.text);
    args.output.write::<Value>(&records, &summary, &page)?;
    Ok(Done::Well)
}

fn row(length: usize, found: &Perplexity) -> Vec<String> {
    vec![
        length.to_string(),
        format!("{:.3}", found.perplexity),
        format!("{:.3} to {:.3}", found.nll.low.exp(), found.nll.high.exp()),
        found.tokens.to_string(),
    ]
}

/// Mean negative log-likelihood and number of the scored tokens of the first `limit` windows (0: all).
fn score(
    decoder: &Decoder,
    tokens: &[u32],
    length: usize,
    stride: usize,
    limit: usize,
    mut progress: impl FnMut(usize, usize),
) -> Vec<(f64, usize)> {
    let mut all = windows(tokens.len(), length, stride);
    if limit > 0 {
        all.truncate(limit);
    }
    let positions: Vec<[u32; 3]> = (0..length as u32).map(|p| [p; 3]).collect();
    let total = all.len();
    let mut found = Vec::with_capacity(total);
    for window in all {
        let tokens = &tokens[window.start..window.end];
        let rows = decoder.embed(tokens);
        let log_probs = decoder.prompt_log_probs(rows, tokens, &positions[..tokens.len()]);
        let scored = &log_probs[log_probs.len() - window.scored..];
        let sum: f64 = scored.iter().map(|&l| f64::from(l)).sum();
        found.push((-sum / window.scored as f64, window.scored));
        progress(found.len(), total);
    }
    found
}
