//! `percept grade`: what reward functions say about given completions.

mod args;
mod own;
mod row;
mod tally;

use std::io::Write;
use std::path::{Path, PathBuf};

use percept_data::{ColumnMap, RawRows};
use percept_reward::{Extracted, Reward, RewardConfig, RewardSet, Verdict};
use serde_json::{Value, json};

use crate::output::{note, say};
use crate::shared_args::Global;
use crate::{Done, Failure, open};

pub use args::Grade;
pub use own::Own;
use row::{Columns, Given};
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

/// One judged completion.
struct Graded<'a> {
    given: &'a Given,
    verdict: &'static str,
    reward: Reward,
    extracted: Vec<Extracted>,
}

fn judged<'a>(rewards: &RewardSet, given: &'a [Given], threshold: f64) -> Vec<Graded<'a>> {
    let answers: Vec<_> = given.iter().map(Given::answer).collect();
    let judged = rewards.judge(&answers);
    given
        .iter()
        .zip(&answers)
        .zip(judged)
        .map(|((given, answer), reward)| Graded {
            given,
            verdict: word(reward.parts.first().map(|(_, verdict)| verdict), threshold),
            extracted: rewards.extracted(answer),
            reward,
        })
        .collect()
}

fn word(verdict: Option<&Verdict>, threshold: f64) -> &'static str {
    match verdict.and_then(Verdict::score) {
        None => "ungraded",
        Some(score) if score >= threshold => "right",
        Some(_) => "wrong",
    }
}

impl Graded<'_> {
    /// Why the verdict is not `right`.
    fn reason(&self) -> Option<String> {
        let (_, verdict) = self.reward.parts.first()?;
        reason(self.given, verdict, self.extracted.first(), self.verdict)
    }

    fn record(&self) -> Value {
        let given = self.given;
        let first = self.reward.parts.first().map(|(_, verdict)| verdict);
        let mut record = json!({
            "row": given.number,
            "id": given.id,
            "verdict": self.verdict,
            "score": first.and_then(Verdict::score),
            "reason": self.reason(),
            "extracted": self.extracted.first().and_then(text),
            "answer": given.answers_json(),
        });
        if let Some(sample) = given.sample {
            record["sample"] = sample.into();
        }
        if let Some(right) = given.right {
            record["right"] = right.into();
        }
        if let Some(kind) = &given.kind {
            record["kind"] = kind.as_str().into();
        }
        if self.reward.parts.len() > 1 {
            record["total"] = self.reward.total.into();
            let parts = self.reward.parts.iter().zip(&self.extracted);
            let parts = parts.map(|((label, verdict), extracted)| {
                let part = json!({
                    "score": verdict.score(),
                    "reason": verdict.reason(),
                    "extracted": text(extracted),
                });
                (label.clone(), part)
            });
            record["parts"] = Value::Object(parts.collect());
        }
        record
    }
}

fn text(extracted: &Extracted) -> Option<&str> {
    match extracted {
        Extracted::Text(text) => Some(text),
        Extracted::Whole | Extracted::Nothing(_) => None,
    }
}

fn reason(
    given: &Given,
    verdict: &Verdict,
    extracted: Option<&Extracted>,
    word: &str,
) -> Option<String> {
    let score = match verdict {
        Verdict::Ungraded(reason) => return Some(reason.clone()),
        Verdict::Score(_) if word == "right" => return None,
        Verdict::Score(score) => *score,
    };
    let shown = |text: &str| text.chars().take(80).collect::<String>();
    Some(match (extracted, given.answers.first()) {
        (Some(Extracted::Nothing(why)), _) => why.clone(),
        (Some(Extracted::Text(found)), Some(truth)) if score == 0.0 => {
            format!("`{}` is not `{}`", shown(found), shown(truth))
        }
        _ => format!("scored {score}"),
    })
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
