//! `percept score`: log-probabilities and entropies of given completions.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use percept_data::{Dataset, Sample};
use percept_train::{PackItem, Scores, score};

use crate::shared::model_args::ModelArgs;
use crate::shared::{Done, Failure, Global, open};

/// Completions that share a forward pass.
const CHUNK: usize = 16;

/// Compute log-probabilities and entropies of given completions, per token.
#[derive(Debug, Args)]
#[command(
    after_help = "Input rows: a prompt in any format that training reads, plus `completion` (text).
Output rows: id, tokens, token_ids, log_probs, entropies, sum.

Examples:
  percept score --model DIR --input pairs.jsonl --output scored.jsonl"
)]
pub struct Score {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Data file whose rows have a `completion`.
    #[arg(long)]
    pub input: PathBuf,
    /// Output file, JSONL (default: standard output).
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Temperature of the softmax whose log-probabilities are reported.
    #[arg(long, default_value_t = 1.0)]
    pub temperature: f32,
}

pub fn run(args: &Score, _: &Global) -> Result<Done, Failure> {
    if !(args.temperature > 0.0 && args.temperature.is_finite()) {
        return Err(Failure::new(format!(
            "--temperature {}: expected a number above 0; a greedy choice has no log-probability",
            args.temperature
        )));
    }
    let (model, processor) = open::model(&args.model)?;
    let rows = open::rows(&args.input)?;
    let mut out = open::JsonLines::create(args.output.as_deref())?;
    for start in (0..rows.len()).step_by(CHUNK) {
        let samples = (start..rows.len().min(start + CHUNK))
            .map(|row| rows.get(row))
            .collect::<Result<Vec<Sample>, _>>()?;
        let mut prompts = Vec::new();
        let mut completions = Vec::new();
        for sample in &samples {
            let text = completion(sample)?;
            completions.push(processor.encode(text)?);
            prompts.push(processor.prompt(sample)?);
        }
        let items: Vec<PackItem<'_>> = prompts
            .iter()
            .zip(&completions)
            .map(|(prompt, tokens)| PackItem {
                prompt,
                responses: vec![tokens],
            })
            .collect();
        let Scores {
            offsets, values, ..
        } = score(&model, &items, args.temperature)?;
        let rows = samples.iter().zip(&completions).zip(offsets.iter());
        for ((sample, tokens), range) in rows {
            let texts: Vec<String> = tokens.iter().map(|&id| processor.token_text(id)).collect();
            let found = [&values.log_prob[range.clone()], &values.entropy[range]];
            writeln!(out, "{}", record(sample, tokens, &texts, found))?;
        }
    }
    out.finish()?;
    Ok(Done::Well)
}

/// The text to score: the row's `completion`, else its expert trajectory.
fn completion(sample: &Sample) -> Result<&str, Failure> {
    let given = sample
        .meta
        .get("completion")
        .and_then(serde_json::Value::as_str);
    given.or(sample.expert.as_deref()).ok_or_else(|| {
        Failure::new(format!(
            "{}: no text to score; expected a string in the column `completion`",
            sample.id
        ))
    })
}

fn record(
    sample: &Sample,
    tokens: &[u32],
    texts: &[String],
    [log_probs, entropies]: [&[f32]; 2],
) -> serde_json::Value {
    let sum: f64 = log_probs.iter().map(|&l| f64::from(l)).sum();
    serde_json::json!({
        "id": sample.id,
        "tokens": texts,
        "token_ids": tokens,
        "log_probs": log_probs,
        "entropies": entropies,
        "sum": sum,
    })
}
