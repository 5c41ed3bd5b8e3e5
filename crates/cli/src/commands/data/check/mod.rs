//! `percept data check`.

mod answers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use clap::Args;
use percept_data::{CheckReport, Checks, Dataset, ProblemKind, RowTokens, Sample, check_rows};
use percept_model::Processor;
use percept_train::{
    Recipe, RowLengths, available_memory, estimate_memory, open_data, open_model, open_rewards,
};

use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global, table};
use answers::RowAnswers;

/// Read a recipe's whole data set and report every problem; exits with 1 if there is one.
#[derive(Debug, Args)]
pub struct DataCheck {
    /// Recipe file (TOML); paths in it are relative to it.
    pub recipe: PathBuf,
    /// Override a field of the recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Maximum number of problems listed per kind (0: all).
    #[arg(long, default_value_t = 20)]
    pub most: usize,
}

pub fn run(args: &DataCheck, global: &Global) -> Result<Done, Failure> {
    let recipe = percept_train::load(&args.recipe, &args.set)?;
    let device = percept_nn::parse_device(&recipe.trainer.device)?;
    let (model, processor) = open_model(&recipe, None, &device)?;
    let rewards = open_rewards(&recipe)?;
    let data = open_data(&recipe.data)?;
    let tokens = |sample: &Sample| match processor.prompt(sample) {
        Ok(prompt) => Ok(RowTokens {
            prompt: prompt.tokens.len(),
            image: prompt.vision_index.len(),
        }),
        Err(error) => Err(error.to_string()),
    };
    let answers = RowAnswers::new(&rewards);
    let judged = recipe.rl.is_some();
    let answer = |sample: &Sample| match &sample.answer {
        _ if !judged => Ok(()),
        Some(_) => answers.check(sample),
        None => Err("no ground truth\n  help: name its column in data.columns.answer".to_owned()),
    };
    let lengths = Mutex::new(Lengths::default());
    let target = |sample: &Sample| {
        let tokens = supervised(&recipe, &processor, sample)?;
        let mut lengths = lengths.lock().unwrap_or_else(PoisonError::into_inner);
        lengths.supervised.push(tokens);
        Ok(())
    };
    let used = |column: &str| percept_train::reads_column(&recipe, column);
    let unread = |sample: &Sample| processor.unread(sample);
    let checks = Checks {
        max_prompt_length: recipe.data.max_prompt_length,
        tokens: &tokens,
        answer: &answer,
        used: &used,
        unread: &unread,
        ..Checks::default()
    };
    // Files are the rows of both stages and are read once; the built-in task has rows of its own for each.
    let apart = recipe.rl.is_none() || recipe.data.digit_sum.is_some();
    let mut sets: Vec<(&str, &dyn Dataset, bool)> = Vec::new();
    if recipe.sft.is_some() && apart {
        sets.push(("sft", data.sft.as_ref(), true));
    }
    if recipe.rl.is_some() {
        let both = recipe.sft.is_some() && !apart;
        sets.push(("rl", data.rl.as_ref(), both));
    }
    if let Some(val) = &data.val {
        sets.push(("val", val.as_ref(), false));
    }
    let mut clean = true;
    for (name, set, supervised) in sets {
        let quiet = global.quiet || global.json;
        let mut last = 0;
        let mut progress = |done: usize, total: usize| {
            // A line for each tenth: rows come in blocks.
            let tenth = done * 10 / total.max(1);
            if !quiet && tenth > last {
                last = tenth;
                note!("{name}: {done} of {total} rows");
            }
        };
        let checks = match supervised {
            true => Checks {
                target: &target,
                ..checks
            },
            false => checks,
        };
        let report = check_rows(set, &checks, &mut progress);
        if name != "val" {
            let mut lengths = lengths.lock().unwrap_or_else(PoisonError::into_inner);
            lengths.prompt.extend(&report.prompt_tokens);
            lengths.image.extend(&report.image_tokens);
        }
        clean &= !report.problems.iter().any(|p| p.kind.is_error());
        if global.json {
            say!("{}", json(name, &report));
        } else {
            print_report(name, set.name(), &report, args.most)?;
        }
    }
    if global.json {
        say!("{}", answers.json());
    } else if let Some(experts) = answers.text(args.most) {
        say!("{experts}");
    }
    let rows = lengths
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .rows();
    memory(&recipe, &model, &rows, global)?;
    Ok(if clean { Done::Well } else { Done::Problems })
}

/// Lengths of the rows of training, in tokens.
#[derive(Default)]
struct Lengths {
    prompt: Vec<usize>,
    image: Vec<usize>,
    supervised: Vec<usize>,
}

impl Lengths {
    fn rows(&self) -> RowLengths {
        let mean = |values: &[usize]| match values.len() {
            0 => 0.0,
            count => values.iter().sum::<usize>() as f64 / count as f64,
        };
        RowLengths {
            prompt: mean(&self.prompt),
            image: mean(&self.image),
            supervised: mean(&self.supervised),
            longest: self.supervised.iter().copied().max().unwrap_or(0),
        }
    }
}

/// Tokens of the row in `[sft]`, if it would train on it.
fn supervised(recipe: &Recipe, processor: &Processor, sample: &Sample) -> Result<usize, String> {
    let training = processor.sft(sample).map_err(|error| error.to_string())?;
    let limit = recipe
        .sft
        .as_ref()
        .map_or(usize::MAX, |sft| sft.ppo_max_token_len);
    match training.prompt.tokens.len() {
        tokens if tokens > limit => Err(format!(
            "{tokens} tokens with the answer, limit {limit}\n  help: raise sft.ppo_max_token_len"
        )),
        tokens => Ok(tokens),
    }
}

fn print_report(
    name: &str,
    source: &str,
    report: &CheckReport,
    most: usize,
) -> Result<(), Failure> {
    say!("{name}: {source}");
    let mut rows = vec![vec!["  rows".to_owned(), report.rows.to_string()]];
    for (label, values) in [
        ("  prompt tokens", &report.prompt_tokens),
        ("  image tokens", &report.image_tokens),
    ] {
        rows.push(vec![label.to_owned(), spread(values)]);
    }
    let mut counts: BTreeMap<ProblemKind, usize> = BTreeMap::new();
    for problem in &report.problems {
        *counts.entry(problem.kind).or_default() += 1;
    }
    for (kind, count) in &counts {
        rows.push(vec![
            format!("  {} problems", kind.name()),
            count.to_string(),
        ]);
    }
    crate::shared::output::result(format_args!("{}", table::format(&rows)))?;
    for line in report.unread.lines() {
        say!("not used: {line}");
    }
    let mut shown: BTreeMap<ProblemKind, usize> = BTreeMap::new();
    for problem in &report.problems {
        let so_far = shown.entry(problem.kind).or_default();
        *so_far += 1;
        if most == 0 || *so_far <= most {
            say!(
                "{}: {}: {}",
                problem.kind.name(),
                problem.id,
                problem.message
            );
        }
    }
    for (kind, count) in counts
        .iter()
        .filter(|(_, count)| most > 0 && **count > most)
    {
        say!(
            "{}: {} more (--most 0 lists all)",
            kind.name(),
            count - most
        );
    }
    Ok(())
}

/// Smallest, median, largest.
fn spread(values: &[usize]) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    match sorted.as_slice() {
        [] => "none".to_owned(),
        all => format!(
            "{} to {}, median {}",
            all[0],
            all[all.len() - 1],
            all[all.len() / 2]
        ),
    }
}

fn json(name: &str, report: &CheckReport) -> serde_json::Value {
    let problems: Vec<serde_json::Value> = report
        .problems
        .iter()
        .map(|p| serde_json::json!({"id": p.id, "kind": p.kind.name(), "message": p.message}))
        .collect();
    let not_used: Vec<serde_json::Value> = report
        .unread
        .iter()
        .map(|(what, rows, first)| serde_json::json!({"what": what, "rows": rows, "first": first}))
        .collect();
    serde_json::json!({
        "set": name,
        "rows": report.rows,
        "prompt_tokens": report.prompt_tokens,
        "image_tokens": report.image_tokens,
        "problems": problems,
        "not_used": not_used,
    })
}

fn memory(
    recipe: &Recipe,
    model: &percept_model::Model,
    rows: &RowLengths,
    global: &Global,
) -> Result<(), Failure> {
    let estimate = estimate_memory(recipe, model, rows);
    let available = available_memory();
    if global.json {
        let parts: BTreeMap<&str, u64> = estimate.parts.iter().copied().collect();
        say!(
            "{}",
            serde_json::json!({
                "memory_bytes": parts,
                "peak_bytes": estimate.peak,
                "available_bytes": available,
            })
        );
        return Ok(());
    }
    let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
    let mut rows = vec![vec!["memory estimate".to_owned(), String::new()]];
    rows.extend(
        estimate
            .parts
            .iter()
            .map(|(name, bytes)| vec![format!("  {name}"), mib(*bytes)]),
    );
    rows.push(vec!["  peak".to_owned(), mib(estimate.peak)]);
    crate::shared::output::result(format_args!("{}", table::format(&rows)))?;
    if let Some(available) = available.filter(|&bytes| bytes < estimate.peak) {
        note!(
            "warning: this run needs about {}, and {} are free\n  help: lower ppo_max_token_len or the batch \
             sizes, set model.gradient_checkpointing = true, train adapters (model.lora), or set \
             rollout.kv_cache_memory_bytes",
            mib(estimate.peak),
            mib(available)
        );
    }
    Ok(())
}
