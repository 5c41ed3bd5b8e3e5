//! Methods by name, for comparisons: what each changes in the `[algorithm]` table of a recipe.

use percept_credit::preference::{Kind, PreferenceConfig};
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
/// In a recipe with `[dpo]` and without `[rl]` a method is a preference loss: the recipe's own with its options, any other
/// with its defaults. Its general rows go where the loss reads none.
///
/// # Errors
/// [`Error::Recipe`] for a name that is none of these, and for a combination that cannot work.
pub fn with_method(recipe: &Recipe, method: &str) -> Result<Recipe, Error> {
    let mut recipe = recipe.clone();
    if recipe.rl.is_none() && recipe.dpo.is_some() {
        return with_loss(recipe, method);
    }
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
    crate::recipe::check::check(&recipe, &format!("method {method}"))?;
    Ok(recipe)
}

fn with_loss(mut recipe: Recipe, name: &str) -> Result<Recipe, Error> {
    let at = format!("method {name}");
    let loss = &mut recipe.preference.loss;
    if loss.name() != name {
        if !PreferenceConfig::NAMES.contains(&name) {
            let message = format!(
                "no preference loss is called {name:?}, and the recipe has no [rl] table for other methods\n  help: there are {}",
                PreferenceConfig::NAMES.join(", ")
            );
            return Err(Error::Recipe { at, message });
        }
        *loss = named(name).map_err(|message| Error::Recipe {
            at: at.clone(),
            message,
        })?;
    }
    if let Some(dpo) = &mut recipe.dpo
        && !loss.needs().kinds.contains_key(&Kind::General)
    {
        dpo.general_files.clear();
    }
    crate::recipe::check::check(&recipe, &at)?;
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
        let filter: FilterConfig = named(part)?;
        filter.change_loss(&mut algorithm.loss);
        algorithm.filter.push(filter);
        known = true;
    }
    if PolicyLossConfig::NAMES.contains(&part) {
        algorithm.loss.policy_loss = named(part)?;
        known = true;
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

#[cfg(test)]
mod tests {
    use super::*;
    use percept_credit::LossAggMode::{self, SeqMeanTokenMean, SeqMeanTokenSumNorm, TokenMean};

    fn recipe(rest: &str) -> Recipe {
        let text = format!(
            "[model]\npath = \"m\"\n[data]\ntrain_files = [\"a.jsonl\"]\n[rl]\nsteps = 1\nppo_epochs = 2\n\
             [rollout]\nmax_completion_length = 77\n{rest}"
        );
        crate::parse(&text, "test", &[]).unwrap()
    }

    fn mode(recipe: &Recipe, method: &str) -> (LossAggMode, Option<f64>) {
        let loss = with_method(recipe, method)
            .unwrap()
            .settled()
            .unwrap()
            .algorithm
            .loss;
        (loss.agg_mode(), loss.loss_scale_factor)
    }

    // C7
    #[test]
    fn a_method_is_compared_under_its_authors_aggregation_unless_the_recipe_sets_one() {
        let open = recipe("");
        assert_eq!(mode(&open, "grpo"), (TokenMean, None));
        assert_eq!(mode(&open, "dr_grpo"), (SeqMeanTokenSumNorm, Some(77.0)));
        assert_eq!(mode(&open, "gspo"), (SeqMeanTokenMean, None));
        assert_eq!(mode(&open, "sapo"), (SeqMeanTokenMean, None));
        assert_eq!(mode(&open, "dapo+cispo"), (TokenMean, None));
        let set = recipe("[algorithm.loss]\nloss_agg_mode = \"seq-mean-token-sum\"\n");
        for method in ["grpo", "dr_grpo", "gspo", "sapo"] {
            assert_eq!(mode(&set, method), (LossAggMode::SeqMeanTokenSum, None));
        }
        // Also where the recipe itself names another method.
        let gspo = recipe("[algorithm.loss.policy_loss]\nname = \"gspo\"\n");
        assert_eq!(mode(&gspo, "ppo"), (TokenMean, None));
    }

    // C6
    #[test]
    fn fipo_is_compared_with_its_own_dual_clip() {
        let clip = |method: &str| {
            let algorithm = with_method(&recipe(""), method)
                .unwrap()
                .settled()
                .unwrap()
                .algorithm;
            match algorithm.loss.policy_loss {
                PolicyLossConfig::Ppo(ppo) => ppo.dual_clip(),
                _ => f64::NAN,
            }
        };
        assert_eq!(clip("grpo"), 3.0);
        assert_eq!(clip("fipo"), 10.0);
    }

    #[test]
    fn a_preference_loss_is_compared_with_its_defaults_and_the_recipes_own_with_its_options() {
        let text = "[model]\npath = \"m\"\n[data]\ntrain_files = [\"a.jsonl\"]\n[dpo]\ngeneral_files = [\"b.jsonl\"]\n\
                    [preference]\nloss = { name = \"halva\", loss_alpha = 0.25 }\n";
        let recipe = crate::parse(text, "test", &[]).unwrap();
        let halva = with_method(&recipe, "halva").unwrap();
        assert_eq!(halva, recipe);
        let dpo = with_method(&recipe, "dpo").unwrap();
        assert_eq!(dpo.preference.loss, PreferenceConfig::default());
        assert!(dpo.dpo.unwrap().general_files.is_empty());
        let error = with_method(&recipe, "grpo").unwrap_err().to_string();
        for word in ["grpo", "adavip", "[rl]"] {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
