//! What `percept eval` asks and how it grades: a recipe's data and reward parts, each of which the
//! command line can replace.

mod args;

use percept_data::{Dataset, FileDataset};
use percept_model::Processor;
use percept_reward::{RewardConfig, RewardSet};
use percept_train::{DataConfig, Recipe};

use crate::shared::reward_arg::RewardArg;
use crate::shared::{Failure, open};
pub use args::QuestionArgs;

/// Questions, opened.
pub struct Questions {
    /// The rows.
    pub data: Box<dyn Dataset>,
    /// The reward functions.
    pub rewards: RewardSet,
    /// Their configuration, for records.
    pub reward: RewardConfig,
    pixels: (Option<usize>, Option<usize>),
}

impl QuestionArgs {
    /// Opens data and reward functions.
    pub fn open(&self) -> Result<Questions, Failure> {
        let recipe = match &self.recipe {
            Some(path) => Some(percept_train::load(path, &self.set)?),
            None => None,
        };
        let reward = self.reward_config(recipe.as_ref())?;
        let part = recipe.as_ref().map(|recipe| &recipe.data);
        let limit = |own: Option<usize>, of: fn(&DataConfig) -> Option<usize>| {
            own.or_else(|| part.and_then(of))
        };
        Ok(Questions {
            data: self.dataset(part)?,
            rewards: RewardSet::build(&reward)?,
            reward,
            pixels: (
                limit(self.min_pixels, |data| data.min_pixels),
                limit(self.max_pixels, |data| data.max_pixels),
            ),
        })
    }

    fn reward_config(&self, recipe: Option<&Recipe>) -> Result<RewardConfig, Failure> {
        let functions: Vec<_> = self
            .reward
            .iter()
            .map(|arg| arg.function().clone())
            .collect();
        Ok(match (functions.is_empty(), recipe) {
            (true, Some(recipe)) => recipe.reward.clone(),
            (true, None) => {
                let math: RewardArg = "math".parse().map_err(|e: String| Failure::new(e))?;
                RewardConfig {
                    functions: vec![math.function().clone()],
                }
            }
            (false, _) => RewardConfig { functions },
        })
    }

    fn dataset(&self, recipe: Option<&DataConfig>) -> Result<Box<dyn Dataset>, Failure> {
        if self.digit_sum.is_some() {
            return open::questions(&[], self.digit_sum);
        }
        if let (true, Some(task)) = (
            self.data.is_empty(),
            recipe.and_then(|r| r.digit_sum.as_ref()),
        ) {
            let task = percept_data::digit_sum::DigitSum::new(task.val.clone())?;
            return Ok(Box::new(task));
        }
        let files = match (self.data.is_empty(), recipe) {
            (true, Some(data)) => &data.val_files,
            _ => &self.data,
        };
        if files.is_empty() {
            return Err(Failure::new(
                "no questions: the recipe has no data.val_files\n  help: add them, or give --data FILE",
            ));
        }
        let own = recipe.map(|data| data.columns.clone());
        let columns = self.columns.clone().or(own).unwrap_or_default();
        let image_dir = self.image_dir.as_deref();
        let image_dir = image_dir.or_else(|| recipe.and_then(|data| data.image_dir.as_deref()));
        Ok(Box::new(FileDataset::open(files, &columns, image_dir)?))
    }
}

impl Questions {
    /// Gives the processor the limits of the recipe or of the command line.
    pub fn limit(&self, processor: &mut Processor) -> Result<(), Failure> {
        Ok(processor.set_pixel_limits(self.pixels.0, self.pixels.1)?)
    }
}
