//! `percept compare`: methods under the same data and seeds, and the same token budget (`[rl]`) or steps (`[dpo]`).
//!
//! Folder: `seed-K/warm` is the warm start of a seed (the stages before the compared one), `seed-K/METHOD` a run of that
//! stage from there. A finished run leaves its file in `results/`; a run that has one is not repeated,
//! a killed one is resumed.

mod folders;
mod runs;
mod stage;
mod summary;

use std::fs;
use std::path::PathBuf;

use clap::Args;
use percept_base::files::write_atomic;
use percept_train::{Recipe, with_method};

use crate::shared::output::say;
use crate::shared::run_args::strict_setting;
use crate::shared::training::stop_on_ctrl_c;
use crate::shared::{Done, Failure, Global, table};
use folders::side_by_side;
use runs::{Finished, finished, of_seed, warm_start};
use stage::Compared;
use summary::{page, summarise, terminal};

/// Train several methods on the same data and seeds, and compare them; or show runs side by side.
#[derive(Debug, Args)]
#[command(
    after_help = "With [rl], a method is a part of [algorithm] by its name, or several joined by +:
grpo, dr_grpo, rloo, durian, tgrl, tor, direction, fipo, dapo, gspo, cispo, sapo, …;
all get as many tokens as the baseline takes. With [dpo] and no [rl], it is a preference loss:
dpo, ipo, simpo, mdpo, chip, adavip, …; all get the same steps. Stages before are trained once.

Examples:
  percept compare recipe.toml --methods grpo,dapo,tor,fipo,durian,tgrl,direction --seeds 5
  percept compare recipe.toml --baseline dapo --methods dapo+tor,dapo+fipo --seeds 3
  percept compare pairs.toml --methods dpo,mdpo,chip,adavip --seeds 3
  percept compare --runs runs/dpo runs/mdpo runs/adavip"
)]
pub struct Compare {
    /// Recipe file (TOML); paths in it are relative to it.
    #[arg(required_unless_present = "runs")]
    pub recipe: Option<PathBuf>,
    /// Train nothing: show what each stage of these run folders ended with (loss, rewards of preference stages and of
    /// reinforcement learning, means over the last 10 steps), its tokens and its seconds.
    #[arg(long, num_args = 1.., value_name = "RUN", conflicts_with_all = ["recipe", "methods", "set", "strict"])]
    pub runs: Vec<PathBuf>,
    /// Methods, separated by commas.
    #[arg(long, value_delimiter = ',', required_unless_present = "runs")]
    pub methods: Vec<String>,
    /// Method that the others are compared with. Default: grpo; for preference losses dpo.
    #[arg(long)]
    pub baseline: Option<String>,
    /// Number of seeds per method, starting from trainer.seed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub seeds: u16,
    /// Output folder (runs, results, compare.html); finished runs in it are not repeated.
    #[arg(long, default_value = "runs/compare")]
    pub output: PathBuf,
    /// Override a field of the recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// End at the first warning of a run, with a checkpoint and exit code 1 (sets trainer.strict).
    #[arg(long)]
    pub strict: bool,
}

pub fn run(args: &Compare, global: &Global) -> Result<Done, Failure> {
    let Some(recipe_file) = &args.recipe else {
        return side_by_side(&args.runs, global);
    };
    let mut set = args.set.clone();
    set.extend(strict_setting(args.strict));
    let recipe = percept_train::load(recipe_file, &set)?;
    let Some(stage) = Compared::of(&recipe) else {
        return Err(Failure::new(format!(
            "{}: neither [rl] nor [dpo]; there is nothing to compare",
            recipe_file.display()
        )));
    };
    let baseline = args.baseline.as_deref();
    let baseline = baseline.unwrap_or_else(|| stage.baseline());
    let mut methods = args.methods.clone();
    // The baseline comes first: what it spends is the budget of the others.
    methods.retain(|method| method != baseline);
    methods.insert(0, baseline.to_owned());
    // Every method is checked before the first hour of training.
    let recipes = methods
        .iter()
        .map(|method| Ok((method.clone(), with_method(&recipe, method)?)))
        .collect::<Result<Vec<(String, Recipe)>, Failure>>()?;
    let stop = stop_on_ctrl_c()?;
    let results = args.output.join("results");
    fs::create_dir_all(&results)
        .map_err(|e| Failure::new(format!("{}: {e}", results.display())))?;
    let mut found: Vec<Vec<Finished>> = vec![Vec::new(); recipes.len()];
    for seed in 0..args.seeds {
        let seed = recipe.trainer.seed + seed as u64;
        let Some(start) = warm_start(stage, &recipe, seed, &args.output, global, &stop)? else {
            return Ok(Done::Stopped);
        };
        let mut budget = 0;
        for ((method, recipe), found) in recipes.iter().zip(&mut found) {
            let mut recipe = of_seed(stage, recipe, seed, method, &start, &args.output);
            if budget > 0 {
                recipe.trainer.max_tokens = budget;
            }
            let Some(result) = finished(&recipe, &results, method, seed, global, &stop)? else {
                return Ok(Done::Stopped);
            };
            if budget == 0 && stage == Compared::Reinforcement {
                budget = result.tokens as u64;
            }
            found.push(result);
        }
    }
    let rows = summarise(&methods, &found, baseline);
    let page = page(stage, &recipe, &methods, &found, &rows, baseline);
    let report = args.output.join("compare.html");
    write_atomic(&report, page.as_bytes())?;
    let json = serde_json::to_vec_pretty(&rows).unwrap_or_default();
    write_atomic(&args.output.join("compare.json"), &json)?;
    if global.json {
        say!(
            "{}",
            serde_json::json!({ "event": "finished", "methods": rows, "report": report })
        );
        return Ok(Done::Well);
    }
    crate::shared::output::result(format_args!(
        "{}",
        table::format(&terminal(&rows, baseline))
    ))?;
    say!("report  {}", report.display());
    if stage == Compared::Preference {
        let models = args.output.join("seed-*").join("METHOD/checkpoints");
        say!(
            "models  {}; `percept eval` has benchmarks of hallucination, whose --compare sets two models side by side",
            models.display()
        );
    }
    Ok(Done::Well)
}
