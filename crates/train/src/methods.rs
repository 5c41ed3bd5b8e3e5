//! Methods by name, for comparisons: what each changes in the `[algorithm]` table of a recipe.

use percept_credit::{AdvantageConfig, FilterConfig, PolicyLossConfig, TokenWeightConfig};
use serde::de::DeserializeOwned;

use crate::{AlgorithmConfig, Error, Recipe};

/// The recipe with the parts of a method in place of its own: one name, or several joined by `+`
/// (`dapo+tor+fipo`). Loss, clipping, Kullback-Leibler and entropy terms stay the recipe's unless a
/// part is about them; aggregation and dual clip are those of the method's authors unless the recipe
/// sets them ([`percept_credit::LossDefaults`]).
///
/// | name | changes |
/// |---|---|
/// | an advantage estimator (`grpo`, `rloo`, `durian`, …) | `advantage` |
/// | a token weight (`tor`, `direction`, `fipo`) | adds it to `token_weight` |
/// | a policy loss (`ppo`, `gspo`, `cispo`, `sapo`) | `loss.policy_loss`, with its defaults |
/// | `dapo` | adds `filter = "dapo"`; clip-higher 0.28 for the loss `ppo` |
/// | `tgrl` | `advantage`, adds to `token_weight` and `filter` |
///
/// # Errors
/// [`Error::Recipe`] for a name that is none of these, and for a combination that cannot work.
pub fn with_method(recipe: &Recipe, method: &str) -> Result<Recipe, Error> {
    let mut recipe = recipe.clone();
    let algorithm = &mut recipe.algorithm;
    algorithm.advantage = AdvantageConfig::default();
    algorithm.token_weight.clear();
    algorithm.filter.clear();
    for part in method.split('+') {
        apply(algorithm, part.trim()).map_err(|message| Error::Recipe {
            at: format!("method {method}"),
            message,
        })?;
    }
    crate::recipe_check::check(&recipe, &format!("method {method}"))?;
    Ok(recipe)
}

fn apply(algorithm: &mut AlgorithmConfig, part: &str) -> Result<(), String> {
    let mut known = false;
    if AdvantageConfig::NAMES.contains(&part) {
        algorithm.advantage = named(part)?;
        known = true;
    }
    if TokenWeightConfig::NAMES.contains(&part) {
        algorithm.token_weight.push(named(part)?);
        known = true;
    }
    if FilterConfig::NAMES.contains(&part) {
        algorithm.filter.push(named(part)?);
        known = true;
    }
    if PolicyLossConfig::NAMES.contains(&part) {
        algorithm.loss.policy_loss = named(part)?;
        known = true;
    }
    if let ("dapo", PolicyLossConfig::Ppo(ppo)) = (part, &mut algorithm.loss.policy_loss) {
        ppo.clip_ratio_high = 0.28;
    }
    if known {
        return Ok(());
    }
    let mut names: Vec<&str> = [
        AdvantageConfig::NAMES,
        TokenWeightConfig::NAMES,
        FilterConfig::NAMES,
        PolicyLossConfig::NAMES,
    ]
    .concat();
    names.sort_unstable();
    names.dedup();
    Err(format!(
        "no method is called {part:?}\n  help: there are {}",
        names.join(", ")
    ))
}

/// A part with its default options.
fn named<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    let value = toml::Value::String(name.to_owned());
    value.try_into().map_err(|e: toml::de::Error| e.to_string())
}
