//! `percept data expert`: a strong model answers every row, a verifier keeps what is right.
//!
//! ```text
//! row ──ChatRequest──▶ model (journal before it) ──ChatReply──▶ reward ──right──▶ column `expert`
//! ```
//!
//! Every answer is in the journal beside the output, on the disk, before it is looked at. The data
//! set is a function of rows and journal: a process that is killed and started again asks only what
//! is missing and writes what an uninterrupted one would have written.

mod args;
mod ask;
mod rows;
mod tally;

use std::path::{Path, PathBuf};

use percept_chat::{Cached, ChatModel, Endpoint, Local, Turn};
use percept_data::{ColumnMap, Dataset, FileDataset};
use percept_kernels::decode::WeightDtype;
use percept_model::{Model, Processor};
use percept_reward::RewardSet;
use percept_sampler::{EngineConfig, LocalSampler};

use crate::shared::model_args::ModelArgs;
use crate::shared::output::note;
use crate::shared::{Done, Failure, Global, open};
pub use args::DataExpert;

pub fn run(args: &DataExpert, global: &Global) -> Result<Done, Failure> {
    if args.out.extension().is_none_or(|ending| ending != "jsonl") {
        return Err(Failure::new(format!(
            "--out {}: expected a file that ends in .jsonl",
            args.out.display()
        )));
    }
    for (option, value) in [
        ("-n", args.n),
        ("--keep", args.keep),
        ("--max-tokens", args.max_tokens),
    ] {
        if value == 0 {
            return Err(Failure::new(format!("{option} is 0; expected 1 or more")));
        }
    }
    let (data, rewards) = source(args)?;
    let data = args.allow.rows(data);
    if let Some(folder) = &args.model {
        let model = ModelArgs {
            model: folder.clone(),
            adapter: args.adapter.clone(),
            device: args.device.clone(),
            attention: None,
            dtype: WeightDtype::F32,
        };
        let identity = open::weights(&model)?;
        let (model, processor): (Model, Processor) = open::model(&model)?;
        let engine = EngineConfig {
            max_num_seqs: args.max_num_seqs,
            ..EngineConfig::default()
        };
        let sampler = LocalSampler::new(&model, &processor, 0)?.with_engine(engine);
        let local = Local::new(sampler, identity);
        return finish(args, global, data.as_ref(), &rewards, local);
    }
    finish(args, global, data.as_ref(), &rewards, endpoint(args)?)
}

fn finish<M: ChatModel>(
    args: &DataExpert,
    global: &Global,
    data: &dyn Dataset,
    rewards: &RewardSet,
    model: M,
) -> Result<Done, Failure> {
    let journal = journal_path(&args.out);
    let model = Cached::open(model, &journal)?;
    if !model.is_empty() && !global.quiet {
        note!(
            "{}: {} answers of earlier runs",
            journal.display(),
            model.len()
        );
    }
    let job = ask::Job {
        data,
        rewards,
        model: &model,
        system: args.system.as_deref(),
        turn: Turn {
            temperature: args.temperature,
            top_p: args.top_p,
            max_tokens: args.max_tokens,
            stop: args.stop.clone(),
            seed: args.seed,
            ..Turn::default()
        },
        candidates: args.n,
        keep: args.keep,
        reasoning: !args.no_reasoning,
        limit: args.limit,
        quiet: global.quiet || global.json,
    };
    let found = ask::all(&job).inspect_err(|_| {
        let place = journal.display();
        note!("the answers so far are in {place}: run the same command to resume");
    })?;
    rows::write(data, &found, &args.out, args.only_verified)?;
    let prices = args.calls.prices();
    let tally = tally::Tally::of(&found, &model.usage(), &prices);
    tally.print(args, global)?;
    if tally.failed == 0 {
        return Ok(Done::Well);
    }
    if !global.quiet {
        note!(
            "{} rows have no answer; run the same command to ask them again",
            tally.failed
        );
    }
    Ok(Done::Problems)
}

/// Rows and verifier: a recipe's, or those of the command line.
fn source(args: &DataExpert) -> Result<(Box<dyn Dataset>, RewardSet), Failure> {
    if let Some(path) = &args.recipe {
        let recipe = percept_train::load(path, &args.set)?;
        let data = percept_train::open_data(&recipe)?;
        return Ok((data.rl, percept_train::open_rewards(&recipe)?));
    }
    let data = FileDataset::open(&args.data, &ColumnMap::default(), None)?;
    Ok((Box::new(data), open::rewards(&args.reward)?))
}

fn endpoint(args: &DataExpert) -> Result<Endpoint, Failure> {
    let Some((url, name)) = args.server.named() else {
        return Err(Failure::new(
            "no model: give --endpoint and --api-model, or --model",
        ));
    };
    args.calls.endpoint(url, name, args.seed.unwrap_or(0))
}

/// `experts.jsonl` → `experts.journal.jsonl`.
fn journal_path(out: &Path) -> PathBuf {
    out.with_extension("journal.jsonl")
}
