//! `percept generate`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use percept_data::{Dataset, Media, Message, Part, Role, Sample};
use percept_model::Prompt;
use percept_sampler::{Rollout, Sampler};

use crate::shared::model_args::ModelArgs;
use crate::shared::output::say;
use crate::shared::progress::Counter;
use crate::shared::sampling_args::{ExtrapolateArgs, SamplingArgs};
use crate::shared::{Done, Failure, Global, open, sampling};

/// Rows that are decoded together; bounds memory, changes no result.
const CHUNK: usize = 256;

/// Sample responses.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept generate --model DIR --image photo.png 'What is in the picture?'
  percept generate --model DIR --image a.png --image b.png 'What is in <image> and not in <image>?'
  percept generate --model DIR --extrapolate BASE --gamma 0.5 --input prompts.jsonl
  percept generate --model DIR --input prompts.jsonl --output answers.jsonl -n 4 --temperature 1")]
pub struct Generate {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The prompt (or use --input). `<image>` marks the place of an image; without it they come first.
    #[arg(required_unless_present = "input")]
    pub prompt: Option<String>,
    /// An image of the prompt (may be repeated).
    #[arg(long)]
    pub image: Vec<PathBuf>,
    /// System message.
    #[arg(long)]
    pub system: Option<String>,
    /// Prompts: a data file in any of the formats that training reads.
    #[arg(long, conflicts_with = "prompt")]
    pub input: Option<PathBuf>,
    /// Output file, JSONL (default: standard output).
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Sampling.
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// A second model.
    #[command(flatten)]
    pub extrapolate: ExtrapolateArgs,
}

pub fn run(args: &Generate, global: &Global) -> Result<Done, Failure> {
    let opened = open::model(&args.model)?;
    let base = open::base(&args.extrapolate, &args.model, &opened)?;
    let params = sampling::sampling(&args.sampling, &opened.1);
    let sampler = open::sampler(&opened, base.as_ref())?
        .with_engine(sampling::engine(&args.sampling))
        .with_extrapolate(sampling::extrapolate(&args.extrapolate));
    let processor = sampler.processor();
    let Some(input) = &args.input else {
        let sample = single(args)?;
        let prompt = Arc::new(processor.prompt(&sample)?);
        for rollout in sampler.generate(&[prompt], &params, &mut |_| {})? {
            if global.json {
                say!("{}", record(&sample, &rollout));
            } else {
                say!("{}", rollout.text);
            }
        }
        return Ok(Done::Well);
    };
    let rows = open::rows(input)?;
    let mut out = open::JsonLines::create(args.output.as_deref())?;
    let mut counter = Counter::new("", global.quiet || args.output.is_none());
    for start in (0..rows.len()).step_by(CHUNK) {
        let samples = (start..rows.len().min(start + CHUNK))
            .map(|row| rows.get(row))
            .collect::<Result<Vec<Sample>, _>>()?;
        let prompts = samples
            .iter()
            .map(|sample| processor.prompt(sample).map(Arc::new))
            .collect::<Result<Vec<Arc<Prompt>>, _>>()?;
        // A row's random numbers depend on its place in the file, not in the chunk.
        let params = percept_sampler::SamplingParams {
            seed: params.seed.wrapping_add(start as u64),
            ..params.clone()
        };
        for rollout in sampler.generate(&prompts, &params, &mut |_| {})? {
            writeln!(out, "{}", record(&samples[rollout.prompt], &rollout))?;
        }
        counter.tell(start + samples.len(), rows.len(), "rows");
    }
    out.finish()?;
    Ok(Done::Well)
}

fn single(args: &Generate) -> Result<Sample, Failure> {
    let mut messages = Vec::new();
    if let Some(system) = &args.system {
        let content = vec![Part::Text(system.clone())];
        messages.push(Message::new(Role::System, content));
    }
    let content = content(args.prompt.as_deref().unwrap_or_default(), args.image.len())?;
    messages.push(Message::new(Role::User, content));
    let mut sample = Sample::new("command line", messages);
    sample.images = args.image.iter().map(Media::from_path).collect();
    Ok(sample)
}

/// The prompt with its images: in the places of `<image>`, without any first, as data rows have it.
fn content(prompt: &str, images: usize) -> Result<Vec<Part>, Failure> {
    const TAG: &str = "<image>";
    let named = prompt.matches(TAG).count();
    if named == 0 {
        let mut content: Vec<Part> = (0..images).map(Part::Image).collect();
        content.push(Part::Text(prompt.to_owned()));
        return Ok(content);
    }
    if named != images {
        return Err(Failure::new(format!(
            "the prompt has {TAG} {named} times, and --image is given {images} times\n  help: give one --image FILE for \
             each {TAG}, or leave {TAG} out: the pictures then come first"
        )));
    }
    let mut content = Vec::new();
    for (index, text) in prompt.split(TAG).enumerate() {
        if index > 0 {
            content.push(Part::Image(index - 1));
        }
        if !text.is_empty() {
            content.push(Part::Text(text.to_owned()));
        }
    }
    Ok(content)
}

fn record(sample: &Sample, rollout: &Rollout) -> serde_json::Value {
    let mut record = serde_json::json!({
        "id": sample.id,
        "sample": rollout.sample,
        "completion": rollout.text,
        "finish_reason": rollout.finish_reason.name(),
        "token_ids": rollout.tokens,
        "log_probs": rollout.log_probs,
    });
    // What `percept grade` needs of the row.
    if let Some(answer) = &sample.answer {
        let all = std::iter::once(answer).chain(&sample.alternatives);
        record["answer"] = match sample.alternatives.is_empty() {
            true => answer.as_str().into(),
            false => all.map(String::as_str).collect(),
        };
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D9
    #[test]
    fn pictures_stand_where_the_prompt_says_and_first_where_it_does_not() {
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(
            content("what?", 1).unwrap(),
            [Part::Image(0), text("what?")]
        );
        assert_eq!(content("what?", 0).unwrap(), [text("what?")]);
        assert_eq!(
            content("sum?<image>", 1).unwrap(),
            [text("sum?"), Part::Image(0)]
        );
        assert_eq!(
            content("<image> or <image>?", 2).unwrap(),
            [Part::Image(0), text(" or "), Part::Image(1), text("?")]
        );
        for (prompt, images) in [("<image>?", 0), ("<image>?", 2), ("<image><image>", 1)] {
            let message = content(prompt, images).unwrap_err();
            assert!(format!("{message:?}").contains("--image"));
        }
    }
}
