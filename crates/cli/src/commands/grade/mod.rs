//! `percept grade`: what reward functions say about given completions.

mod args;
mod graded;
mod row;
mod tally;

use std::io::Write;
use std::path::{Path, PathBuf};

use percept_data::{ColumnMap, RawRows};
use percept_reward::{RewardConfig, RewardSet};

use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global, open};
pub use args::Grade;
use graded::judged;
use row::Columns;
use tally::Tally;

/// Completions that are judged together; bounds memory, changes no verdict.
const CHUNK: usize = 256;

pub fn run(args: &Grade, global: &Global) -> Result<Done, Failure> {
    let (rewards, columns) = opened(args)?;
    let spool;
    let (path, shown) = if args.input == Path::new("-") {
        spool = spooled()?;
        (spool.path(), PathBuf::from("stdin"))
    } else {
        (args.input.as_path(), args.input.clone())
    };
    let rows = RawRows::open(path, &shown)?;
    let mut out = open::JsonLines::create(args.output.as_deref())?;
    let mut tally = Tally::new(shown);
    for start in (0..rows.len()).step_by(CHUNK) {
        let mut given = Vec::new();
        for at in start..rows.len().min(start + CHUNK) {
            let row = rows.get(at).map_err(|error| error.to_string());
            match row.and_then(|row| columns.read(&tally.shown, rows.number(at), row)) {
                Ok(found) => given.extend(found),
                Err(message) => {
                    tally.bad_rows += 1;
                    if !global.quiet && (args.most == 0 || tally.bad_rows <= args.most) {
                        note!("bad row: {message}");
                    }
                }
            }
        }
        for graded in judged(&rewards, &given, args.threshold) {
            writeln!(out, "{}", graded.record())?;
            tally.add(&graded);
        }
        for message in rewards.messages() {
            note!("reward function {message}");
        }
    }
    out.finish()?;
    summary(args, global, &tally)?;
    let nothing = tally.graded() == 0;
    let flawed = args.strict && (tally.bad_rows > 0 || tally.ungraded > 0);
    Ok(if nothing || flawed {
        Done::Problems
    } else {
        Done::Well
    })
}

/// The reward functions and the columns of the command line and the recipe.
fn opened(args: &Grade) -> Result<(RewardSet, Columns), Failure> {
    let recipe = match &args.recipe {
        Some(path) => Some(percept_train::load(path, &args.set)?),
        None => None,
    };
    let config = if args.reward.is_empty() {
        recipe
            .as_ref()
            .map(|r| r.reward.clone())
            .unwrap_or_default()
    } else {
        let functions = args.reward.iter().map(|arg| arg.function().clone());
        RewardConfig {
            functions: functions.collect(),
        }
    };
    let map = recipe.map_or_else(ColumnMap::default, |r| r.data.columns);
    let columns = Columns {
        completion: args.completion.clone(),
        answer: args.answer.clone().or(map.answer),
        expert: map.expert,
        prompt: map.prompt,
        id: map.id,
    };
    Ok((RewardSet::build(&config)?, columns))
}

/// Standard input as a file: rows are read by their place.
fn spooled() -> Result<tempfile::NamedTempFile, Failure> {
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile()?;
    std::io::copy(&mut std::io::stdin().lock(), &mut file)?;
    file.flush()?;
    Ok(file)
}

/// The tally: on standard output, or on standard error where that holds the rows.
fn summary(args: &Grade, global: &Global, tally: &Tally) -> Result<(), Failure> {
    let text = if global.json {
        tally.json().to_string()
    } else {
        tally.text(args.most)
    };
    if args.output.is_some() {
        say!("{}", text.trim_end());
    } else if !global.quiet {
        note!("{}", text.trim_end());
    }
    Ok(())
}
