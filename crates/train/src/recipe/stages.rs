//! What the tables of all stages have in common: checks of a recipe go through this list, so that a new stage has them.

use crate::recipe::parts::OptimConfig;
use crate::recipe::tables::Recipe;

/// The table of a stage.
pub(crate) struct StageTable<'a> {
    /// Its name in the recipe.
    pub(crate) name: &'static str,
    /// Rows or prompts per step.
    pub(crate) train_batch_size: usize,
    /// Token budget of one forward pass.
    pub(crate) ppo_max_token_len: usize,
    /// Optimiser.
    pub(crate) optim: &'a OptimConfig,
}

impl Recipe {
    /// The tables of the stages that it has, in their order.
    pub(crate) fn stage_tables(&self) -> Vec<StageTable<'_>> {
        let sft = self.sft.as_ref().map(|sft| StageTable {
            name: "sft",
            train_batch_size: sft.train_batch_size,
            ppo_max_token_len: sft.ppo_max_token_len,
            optim: &sft.optim,
        });
        let rl = self.rl.as_ref().map(|rl| StageTable {
            name: "rl",
            train_batch_size: rl.train_batch_size,
            ppo_max_token_len: rl.ppo_max_token_len,
            optim: &rl.optim,
        });
        [sft, rl].into_iter().flatten().collect()
    }
}
