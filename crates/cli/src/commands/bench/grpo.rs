//! A step of GRPO by phase: percept's own training loop, beside TRL's trainer in the same run.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use percept_data::Dataset;
use percept_data::digit_sum::DigitSum;
use percept_model::SaveDtype;
use percept_train::{Event, Metrics, Observer, Recipe, Start, open_model};

use super::measure::median;
use super::row::{Row, Unit};
use crate::shared::Failure;

const RECIPE: &str = include_str!("grpo.toml");

/// Steps that fill caches, on both sides.
pub const SKIPPED: usize = 2;

/// Rows of the output beside the names of the run's metrics.
const PHASES: [(&str, &str); 4] = [
    ("grpo/step", "timing_s/step"),
    ("grpo/generation", "timing_s/gen"),
    ("grpo/reward", "timing_s/reward"),
    ("grpo/update", "timing_s/update_actor"),
];

/// Medians of `repeat` steps. Leaves the model and the prompts in `folder`, for the peer.
pub fn grpo(repeat: usize, folder: &Path, rows: &mut Vec<Row>) -> Result<(), Failure> {
    let recipe = recipe(repeat, folder, "rollout")?;
    prepare(&recipe, folder)?;
    let steps = run(&recipe)?;
    for (name, metric) in PHASES {
        let seconds = median(steps.iter().map(|step| value(step, metric)));
        rows.push(Row::new(name, Unit::Milliseconds, seconds * 1e3));
    }
    // The rollouts bring their log-probabilities along. What it takes where a recipe asks for another
    // forward pass:
    let again = self::recipe(repeat, folder, "recompute")?;
    let steps = run(&again)?;
    let seconds = median(
        steps
            .iter()
            .map(|step| value(step, "timing_s/old_log_prob")),
    );
    let name = "grpo/log-probabilities again";
    rows.push(Row::new(name, Unit::Milliseconds, seconds * 1e3));
    Ok(())
}

fn recipe(repeat: usize, folder: &Path, old_log_prob: &str) -> Result<Recipe, Failure> {
    let set = [
        format!("rl.steps={}", SKIPPED + repeat),
        format!("rl.old_log_prob=\"{old_log_prob}\""),
        format!("trainer.experiment_name=\"{old_log_prob}\""),
    ];
    let mut recipe = percept_train::parse(RECIPE, "the recipe of suite grpo", &set)?;
    recipe.trainer.output_dir = folder.to_owned();
    Ok(recipe)
}

/// The model and the prompts of all steps, as files.
fn prepare(recipe: &Recipe, folder: &Path) -> Result<(), Failure> {
    let device = percept_nn::parse_device(&recipe.trainer.device)?;
    let (model, processor) = open_model(recipe, None, &device)?;
    let model_folder = folder.join("model");
    model.save(&model_folder, SaveDtype::F32)?;
    processor.save(&model_folder)?;
    let (Some(task), Some(rl)) = (&recipe.data.digit_sum, &recipe.rl) else {
        return Ok(());
    };
    let task = DigitSum::new(task.rl.clone())?;
    let prompts = (0..rl.steps * rl.train_batch_size).map(|row| task.get(row));
    percept_data::write_jsonl(prompts, &folder.join("data"))?;
    Ok(())
}

/// The metrics of the steps that count.
fn run(recipe: &Recipe) -> Result<Vec<Metrics>, Failure> {
    struct Steps(Vec<Metrics>);
    impl Observer for Steps {
        fn event(&mut self, event: Event<'_>) {
            if let Event::Step { metrics, .. } = event {
                self.0.push(metrics.clone());
            }
        }
    }
    let mut steps = Steps(Vec::new());
    let never = AtomicBool::new(false);
    percept_train::run(recipe, Start::Overwrite, &mut steps, &never)?;
    Ok(steps.0.split_off(SKIPPED))
}

fn value(metrics: &Metrics, name: &str) -> f64 {
    let found = metrics.iter().find(|(other, _)| other == name);
    found.map_or(0.0, |(_, value)| *value)
}
