//! What the algorithm asks of the data: looked at before the first rollout, so that a method that
//! could do nothing is refused instead of costing a run.

use percept_credit::RunShape;
use percept_data::Dataset;

use crate::stages::rl::experts::experts_of;
use crate::{AlgorithmConfig, Error, OldLogProb, Recipe};

/// Rows that are looked at.
const ROWS: usize = 64;

/// Refuses methods that need images or expert trajectories when none of the first rows has any.
pub(crate) fn check(algorithm: &AlgorithmConfig, data: &dyn Dataset) -> Result<(), Error> {
    let needs = algorithm.credit().needs();
    let images = needs.no_image || needs.visual_entropy;
    let experts = algorithm.expert_filter();
    if !images && experts.is_none() {
        return Ok(());
    }
    let rows = data.len().min(ROWS);
    let (mut with_image, mut with_expert, mut most_experts) = (0, 0, 0);
    for row in 0..rows {
        // A row that cannot be read is skipped and counted when its turn comes.
        let Ok(sample) = data.get(row) else {
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
    let Some((name, filter)) = experts else {
        return Ok(());
    };
    if with_expert == 0 {
        return Err(refused(
            &format!("an expert trajectory, which filter {name} asks for"),
            "make them with `percept data expert`, or name their column in data.columns.expert",
        ));
    }
    let asked = filter.n_expert();
    if asked > 1 && most_experts == 1 {
        return Err(refused(
            &format!("more than one expert trajectory, and filter {name}'s n_expert is {asked}"),
            "give several as a list in the column `expert`, or set n_expert = 1",
        ));
    }
    Ok(())
}

/// Combinations of parts that cannot work or would do nothing.
///
/// # Errors
/// What is wrong, and what to change.
pub(crate) fn combination(recipe: &Recipe) -> Result<(), String> {
    let Some(rl) = &recipe.rl else { return Ok(()) };
    let algorithm = &recipe.algorithm;
    let shape = RunShape {
        advantage: algorithm.advantage.name(),
        grouped: algorithm.advantage.grouped(),
        num_generations: recipe.rollout.num_generations,
        updates: rl.train_batch_size.div_ceil(rl.mini_batch_size().max(1)) * rl.ppo_epochs,
        experts: algorithm.expert_filter().is_some(),
    };
    algorithm.credit().requires(&shape)?;
    if algorithm.loss.tis_imp_ratio_cap.is_some() && rl.old_log_prob == OldLogProb::Rollout {
        return Err(
            "algorithm.loss.tis_imp_ratio_cap does nothing with rl.old_log_prob = \"rollout\": the sampler's \
             log-probabilities are then the old ones, and every weight is 1\n  help: set rl.old_log_prob = \
             \"recompute\", or leave the cap out"
                .to_owned(),
        );
    }
    let mut filters = algorithm.filter.iter();
    filters.try_for_each(|filter| filter.requires(&shape))
}
