//! `percept data preferences`: a model's own answers, judged and paired.
//!
//! ```text
//! row ──n answers──▶ journal ──▶ judge (journal) ──▶ scores ──▶ pairs, candidates, skipped, summary
//! ```
//!
//! Whatever a model says is in a journal, on the disk, before it is looked at, and the files are functions of rows and
//! journals: a process that is killed and started again asks only what is missing and writes what an uninterrupted one
//! would have written.

mod args;
mod check;
mod journal;
mod judge;
mod judge_args;
mod summary;

use percept_chat::{Cached, ChatModel, Turn, Usage};
use percept_data::{ColumnMap, Dataset, FileDataset};
use percept_preferences::{
    Candidate, Collected, PairChoice, PairOptions, Places, Row, Sampling, TieBreak, open_rows,
    sample, write,
};
use serde_json::{Value, json};

use crate::shared::chat_model::{ChatArgs, OpenedChat};
use crate::shared::progress::AskProgress;
use crate::shared::{Done, Failure, Global};
pub use args::DataPreferences;
use args::{Choice, Tie};
use journal::{resume, said};

pub fn run(args: &DataPreferences, global: &Global) -> Result<Done, Failure> {
    check::options(args)?;
    let quiet = global.quiet || global.json;
    let places = Places::of(&args.out);
    let judge = judge::open(&args.judge)?;
    let data = FileDataset::open(&args.data, &ColumnMap::default(), args.image_dir.as_deref())?;
    let data = args.allow.rows(Box::new(data));
    let rows = open_rows(data.as_ref(), args.limit);
    check::rows(data.name(), &rows, quiet)?;
    let (mut candidates, by, asked) = answers(args, data.as_ref(), &rows, &places, quiet)?;
    let judged = judge.judge(args, &mut candidates, data.as_ref(), &places, quiet)?;
    let found = Collected::new(&rows, candidates, &pair_options(args), args.max_shortening);
    let about = json!({
        "model": by,
        "judge": judged.identity,
        "sampling": {
            "num_generations": args.num_generations, "temperature": args.temperature, "top_p": args.top_p,
            "max_tokens": args.max_tokens, "seed": args.seed, "system": args.system, "keep_cut": args.keep_cut,
        },
        "pairs": {
            "min_gap": args.min_gap, "pairs_per_row": args.pairs_per_row, "choice": format!("{:?}", args.pairs),
            "tie_break": format!("{:?}", args.tie_break), "max_shortening": format!("{:?}", args.max_shortening),
        },
    });
    write(data.as_ref(), &found, &places, &about)?;
    summary::print(args, global, &found, &places, [&asked, &judged.usage])
}

/// The answers of all rows, who gave them, and what was sent for it.
fn answers(
    args: &DataPreferences,
    data: &dyn Dataset,
    rows: &[Row],
    places: &Places,
    quiet: bool,
) -> Result<(Vec<Candidate>, Value, Usage), Failure> {
    let opened = OpenedChat::open(&ChatArgs {
        model: args.model.as_deref(),
        adapter: args.adapter.as_deref(),
        device: &args.device,
        server: args.server.named(),
        calls: &args.calls,
        max_num_seqs: args.max_num_seqs,
        sampled: Some((args.temperature, args.top_p)),
    })?;
    let model = Cached::open(opened.chat()?, &places.answers)?;
    said(&model, quiet);
    let sampling = Sampling {
        num_generations: args.num_generations,
        turn: Turn {
            temperature: args.temperature,
            top_p: args.top_p,
            max_tokens: args.max_tokens,
            stop: args.stop.clone(),
            seed: args.seed,
            ..Turn::default()
        },
        system: args.system.as_deref(),
        keep_cut: args.keep_cut,
    };
    let readable = rows.iter().filter(|row| row.unreadable.is_none()).count();
    let mut progress = AskProgress::new("answers", readable * args.num_generations, quiet);
    let mut tell = |done, error: Option<&_>| progress.tell(done, error);
    let found = sample(&model, data, rows, &sampling, &mut tell);
    let found = found.inspect_err(|_| resume(&places.answers));
    Ok((found?, model.identity(), model.usage()))
}

fn pair_options(args: &DataPreferences) -> PairOptions {
    PairOptions {
        min_gap: args.min_gap,
        tie_break: match args.tie_break {
            Tie::None => TieBreak::None,
            Tie::Coverage => TieBreak::Coverage,
        },
        choice: match args.pairs {
            Choice::Random => PairChoice::Random,
            Choice::BestWorst => PairChoice::BestWorst,
        },
        per_row: args.pairs_per_row,
        seed: args.seed.unwrap_or(0),
    }
}
