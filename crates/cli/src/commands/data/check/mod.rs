//! `percept data check`.

mod answers;
mod memory;
mod print;
mod targets;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use clap::Args;
use percept_data::{
    Checks, Dataset, PairChecks, Problem, ProblemKind, RowTokens, Sample, check_rows,
};
use percept_train::{
    SftConfig, incomplete_groups, open_data, open_model, open_pairs, open_rewards, pair_cost,
};

use crate::shared::output::{note, say};
use crate::shared::{Done, Failure, Global};
use answers::RowAnswers;
use memory::{Lengths, memory};
use print::{json, print_report};
use targets::{spans, supervised};

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
    let data = open_data(&recipe)?;
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
        None if rewards.needs_ground_truth() => {
            Err("no ground truth\n  help: name its column in data.columns.answer".to_owned())
        }
        _ => answers
            .check(sample)
            .and_then(|()| rewards.check_row(&sample.meta)),
    };
    let lengths = Mutex::new(Lengths::default());
    let target = |sample: &Sample| {
        let tokens = supervised(&recipe, &processor, sample)?;
        let mut lengths = lengths.lock().unwrap_or_else(PoisonError::into_inner);
        lengths.supervised.push(tokens);
        Ok(())
    };
    let spans = |sample: &Sample| spans(&recipe, &processor, sample);
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
    let pair_tokens = |sample: &Sample| {
        let cost = pair_cost(&recipe, &processor, sample)?;
        let mut lengths = lengths.lock().unwrap_or_else(PoisonError::into_inner);
        lengths.pair.push(cost.trained);
        lengths.pair_image.push(cost.image);
        Ok(cost.tokens)
    };
    let pairs = recipe.dpo.as_ref().map(|dpo| PairChecks {
        tokens: &pair_tokens,
        max_length: dpo.ppo_max_token_len,
        limit: "dpo.ppo_max_token_len",
    });
    let pair_rows = open_pairs(&recipe)?;
    // Files are the rows of both stages and are read once; the built-in task has rows of its own for each, and [sft] may.
    let own = |sft: &SftConfig| !sft.train_files.is_empty();
    let apart = recipe.rl.is_none()
        || recipe.data.digit_sum.is_some()
        || recipe.sft.as_ref().is_some_and(own);
    let unjudged = |_: &Sample| -> Result<(), String> { Ok(()) };
    let mut sets: Vec<(&str, &dyn Dataset, Checks<'_>)> = Vec::new();
    let supervised = Checks {
        target: &target,
        spans: &spans,
        ..checks
    };
    if recipe.sft.is_some() && apart {
        let checks = match recipe.sft.as_ref().is_some_and(own) {
            // Nothing judges them.
            true => Checks {
                answer: &unjudged,
                ..supervised
            },
            false => supervised,
        };
        sets.push(("sft", data.sft.as_ref(), checks));
    }
    if let Some(rows) = &pair_rows {
        sets.push(("dpo", rows.as_ref(), Checks { pairs, ..checks }));
    }
    if recipe.rl.is_some() {
        let both = recipe.sft.is_some() && !apart;
        let checks = if both { supervised } else { checks };
        sets.push(("rl", data.rl.as_ref(), checks));
    }
    if let Some(val) = &data.val {
        sets.push(("val", val.as_ref(), checks));
    }
    let mut clean = true;
    for (name, set, checks) in sets {
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
        let mut report = check_rows(set, &checks, &mut progress);
        if judged && matches!(name, "rl" | "val") {
            let incomplete = incomplete_groups(set, &rewards).into_iter();
            report.problems.extend(incomplete.map(|found| Problem {
                id: found.id,
                field: rewards.group_by().map(str::to_owned),
                kind: ProblemKind::Group,
                message: found.message,
            }));
        }
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
