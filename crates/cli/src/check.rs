//! `percept data check` and `percept data export`.

use std::collections::BTreeMap;

use percept_data::digit_sum::{DigitSum, DigitSumConfig, Split};
use percept_data::scenes::{Scenes, ScenesConfig};
use percept_data::{CheckReport, Dataset, ProblemKind, RowTokens, Sample, check_rows, write_jsonl};
use percept_train::{Recipe, estimate_memory, open_data, open_model, open_rewards};

use crate::args::{DataCheck, DataExport, Global, Task};
use crate::output::{note, say};
use crate::{Done, Failure, table};

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
    let own = crate::grade::Own::new(&rewards);
    let judged = recipe.rl.is_some();
    let answer = |sample: &Sample| match &sample.answer {
        _ if !judged => Ok(()),
        Some(_) => own.check(sample),
        None => Err("no ground truth\n  help: name its column in data.columns.answer".to_owned()),
    };
    let mut sets: Vec<(&str, &dyn Dataset)> = Vec::new();
    if recipe.sft.is_some() && (recipe.rl.is_none() || recipe.data.digit_sum.is_some()) {
        sets.push(("sft", data.sft.as_ref()));
    }
    if recipe.rl.is_some() {
        sets.push(("rl", data.rl.as_ref()));
    }
    if let Some(val) = &data.val {
        sets.push(("val", val.as_ref()));
    }
    let mut clean = true;
    for (name, set) in sets {
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
        let limit = recipe.data.max_prompt_length;
        let report = check_rows(set, limit, &tokens, &answer, &mut progress);
        clean &= !report.problems.iter().any(|p| p.kind.is_error());
        if global.json {
            say!("{}", json(name, &report));
        } else {
            print_report(name, set.name(), &report, args.most)?;
        }
    }
    if global.json {
        say!("{}", own.json());
    } else if let Some(experts) = own.text(args.most) {
        say!("{experts}");
    }
    memory(&recipe, &model, global)?;
    Ok(if clean { Done::Well } else { Done::Problems })
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
    crate::output::result(format_args!("{}", table::format(&rows)))?;
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
    serde_json::json!({
        "set": name,
        "rows": report.rows,
        "prompt_tokens": report.prompt_tokens,
        "image_tokens": report.image_tokens,
        "problems": problems,
    })
}

fn memory(recipe: &Recipe, model: &percept_model::Model, global: &Global) -> Result<(), Failure> {
    let estimate = estimate_memory(recipe, model);
    if global.json {
        let parts: BTreeMap<&str, u64> = estimate.iter().copied().collect();
        say!("{}", serde_json::json!({"memory_bytes": parts}));
        return Ok(());
    }
    let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
    let mut rows = vec![vec!["memory estimate".to_owned(), String::new()]];
    rows.extend(
        estimate
            .iter()
            .map(|(name, bytes)| vec![format!("  {name}"), mib(*bytes)]),
    );
    let total = estimate.iter().map(|(_, bytes)| bytes).sum();
    rows.push(vec!["  total".to_owned(), mib(total)]);
    crate::output::result(format_args!("{}", table::format(&rows)))
}

pub fn export(args: &DataExport) -> Result<Done, Failure> {
    let split = match args.split.as_str() {
        "train" => Split::Train,
        "test" => Split::Test,
        other => {
            return Err(Failure::new(format!(
                "--split {other}: expected train or test"
            )));
        }
    };
    let task: Box<dyn Dataset> = match args.task {
        Task::DigitSum => Box::new(DigitSum::new(DigitSumConfig {
            split,
            seed: args.seed,
            len: args.rows,
            ..DigitSumConfig::default()
        })?),
        Task::Scenes => Box::new(Scenes::new(ScenesConfig {
            seed: args.seed,
            len: args.rows,
            cooccurrence: args.cooccurrence,
            contrast: args.contrast,
        })?),
    };
    let path = write_jsonl((0..task.len()).map(|row| task.get(row)), &args.output)?;
    say!("{}", path.display());
    Ok(Done::Well)
}
