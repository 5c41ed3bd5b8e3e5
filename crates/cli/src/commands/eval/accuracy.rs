//! `percept eval`: accuracy on a data set with verifiable answers.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use percept_eval::{evaluate, keep_pictures};
use percept_sampler::{EngineConfig, Extrapolate, SamplingParams};
use percept_train::StoredEvaluation;
use serde::Serialize;

use super::questions::QuestionArgs;
use crate::shared::model_args::ModelArgs;
use crate::shared::output::say;
use crate::shared::progress::Counter;
use crate::shared::sampling_args::{ExtrapolateArgs, SamplingArgs};
use crate::shared::{Done, Failure, Global, open, sampling, table};

/// `percept eval` on data files.
#[derive(Debug, Args)]
pub struct EvalRows {
    /// The model.
    #[command(flatten)]
    pub model: Option<ModelArgs>,
    /// Questions and how they are graded.
    #[command(flatten)]
    pub questions: QuestionArgs,
    /// Maximum number of rows (0: all).
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    /// Output folder: records.jsonl with every graded response, summary.json, images.
    #[arg(long)]
    pub output: Option<PathBuf>,
    /// Sampling.
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// A second model.
    #[command(flatten)]
    pub extrapolate: ExtrapolateArgs,
}

/// How answers were sampled, as `summary.json` has it.
#[derive(Serialize)]
struct Sampling<'a> {
    #[serde(flatten)]
    params: &'a SamplingParams,
    #[serde(flatten)]
    engine: &'a EngineConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    extrapolate: Option<&'a Extrapolate>,
}

pub fn run(args: &EvalRows, global: &Global) -> Result<Done, Failure> {
    let Some(model) = &args.model else {
        return Err(Failure::new(
            "nothing to evaluate: give --model DIR --data FILE, or a benchmark (percept eval --help)",
        ));
    };
    let questions = args.questions.open()?;
    let mut opened = open::model(model)?;
    questions.limit(&mut opened.1)?;
    let base = open::base(&args.extrapolate, model, &opened)?;
    let sampler = open::sampler(&opened, base.as_ref())?
        .with_engine(sampling::engine(&args.sampling))
        .with_extrapolate(sampling::extrapolate(&args.extrapolate));
    let data = questions.data.as_ref();
    let sampling = sampling::sampling(&args.sampling, &opened.1);
    let quiet = global.quiet || global.json;
    let mut counter = Counter::new("", quiet);
    let clock = std::time::Instant::now();
    let mut found = evaluate(
        &sampler,
        &opened.1,
        data,
        &questions.rewards,
        &sampling,
        args.limit,
        &mut |done, total| counter.tell(done, total, "questions"),
    )?;
    let summary = StoredEvaluation {
        name: data.name().to_owned(),
        global_step: 0,
        tokens: 0,
        accuracy: found.accuracy,
        by_type: found.by_type,
        ungraded: found.ungraded,
        response_length: found.response_length,
        clip_ratio: found.clip_ratio,
        seconds: clock.elapsed().as_secs_f64(),
    };
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder)?;
        let pictures = keep_pictures(data, args.limit, folder)?;
        for record in &mut found.records {
            record.images = pictures.get(&record.id).cloned().unwrap_or_default();
        }
        let mut out = open::JsonLines::create(Some(&folder.join("records.jsonl")))?;
        for record in &found.records {
            writeln!(out, "{}", serde_json::to_string(record)?)?;
        }
        out.finish()?;
        let json = serde_json::json!({
            "model": model.model,
            "base": args.extrapolate.extrapolate,
            "reward": questions.reward,
            "sampling": Sampling {
                params: &sampling,
                engine: sampler.engine(),
                extrapolate: sampler.extrapolate(),
            },
            "evaluation": summary,
        });
        let text = serde_json::to_vec_pretty(&json)?;
        percept_base::files::write_atomic(&folder.join("summary.json"), &text)?;
    }
    if global.json {
        say!("{}", serde_json::to_string(&summary)?);
    } else {
        crate::shared::output::result(format_args!("{}", table::evaluations(&[summary])))?;
    }
    Ok(Done::Well)
}
