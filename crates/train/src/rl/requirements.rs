//! What the algorithm asks of the data: looked at before the first rollout, so that a method that
//! could do nothing is refused instead of costing a run.

use crate::rl::experts::experts_of;
use crate::run::Run;
use crate::{Error, OldLogProb, Recipe};

/// Rows that are looked at.
const ROWS: usize = 64;

/// Refuses methods that need images or expert trajectories when none of the first rows has any.
pub(crate) fn check(run: &Run<'_>) -> Result<(), Error> {
    let algorithm = &run.recipe.algorithm;
    let needs = algorithm.credit().needs();
    let images = needs.no_image || needs.visual_entropy;
    let experts = algorithm.uses_experts();
    if !images && !experts {
        return Ok(());
    }
    let rows = run.data.rl.len().min(ROWS);
    let (mut with_image, mut with_expert, mut most_experts) = (0, 0, 0);
    for row in 0..rows {
        // A row that cannot be read is skipped and counted when its turn comes.
        let Ok(sample) = run.data.rl.get(row) else {
            continue;
        };
        with_image += usize::from(!sample.images.is_empty() || !sample.videos.is_empty());
        let experts = experts_of(&sample).count();
        with_expert += usize::from(experts > 0);
        most_experts = most_experts.max(experts);
    }
    let refused = |what: &str, help: &str| Error::Recipe {
        at: "algorithm".to_owned(),
        message: format!("none of the first {rows} training rows has {what}\n  help: {help}"),
    };
    if images && with_image == 0 {
        let parts = algorithm.credit().parts_with_image().join(", ");
        return Err(refused(
            &format!("an image, which {parts} asks for"),
            "choose other parts, or data with images",
        ));
    }
    if experts && with_expert == 0 {
        return Err(refused(
            "an expert trajectory, which filter tgrl asks for",
            "make them with `percept data expert`, or name their column in data.columns.expert",
        ));
    }
    let asked = algorithm.tgrl().map_or(0, |filter| filter.n_expert);
    if asked > 1 && most_experts == 1 {
        return Err(refused(
            &format!("more than one expert trajectory, and filter tgrl's n_expert is {asked}"),
            "give several as a list in the column `expert`, or set n_expert = 1",
        ));
    }
    Ok(())
}

/// Combinations of parts that cannot work or would do nothing.
pub(crate) fn combination(recipe: &Recipe) -> Result<(), String> {
    let Some(rl) = &recipe.rl else { return Ok(()) };
    let algorithm = &recipe.algorithm;
    let uses = |name: &str| algorithm.token_weight.iter().any(|w| w.name() == name);
    let updates = rl.train_batch_size.div_ceil(rl.mini_batch_size().max(1)) * rl.ppo_epochs;
    if uses("fipo") && updates < 2 {
        return Err(
            "token_weight \"fipo\" does nothing with one update per rollout batch: it weighs tokens by \
             how far the policy has moved since the rollout\n  help: lower rl.ppo_mini_batch_size below \
             rl.train_batch_size, or raise rl.ppo_epochs"
                .to_owned(),
        );
    }
    let wants_experts = algorithm.credit().needs().experts;
    if wants_experts && !algorithm.uses_experts() {
        return Err(
            "advantage or token_weight \"tgrl\" does nothing without expert trajectories in the groups\n  \
             help: add \"tgrl\" to algorithm.filter"
                .to_owned(),
        );
    }
    if algorithm.loss.tis_imp_ratio_cap.is_some() && rl.old_log_prob == OldLogProb::Rollout {
        return Err(
            "algorithm.loss.tis_imp_ratio_cap does nothing with rl.old_log_prob = \"rollout\": the sampler's \
             log-probabilities are then the old ones, and every weight is 1\n  help: set rl.old_log_prob = \
             \"recompute\", or leave the cap out"
                .to_owned(),
        );
    }
    if let Some(filter) = algorithm.tgrl()
        && filter.n_expert >= recipe.rollout.num_generations
    {
        return Err(format!(
            "filter \"tgrl\": n_expert is {}, and a group has {} responses: none would be the policy's own\n  \
             help: lower n_expert below rollout.num_generations",
            filter.n_expert, recipe.rollout.num_generations
        ));
    }
    if algorithm.uses_experts() && recipe.algorithm.advantage.name() == "reinforce_plus_plus" {
        return Err(
            "filter \"tgrl\" puts experts into groups, but advantage \"reinforce_plus_plus\" has no groups\n  \
             help: use grpo, rloo, durian or tgrl"
                .to_owned(),
        );
    }
    Ok(())
}
