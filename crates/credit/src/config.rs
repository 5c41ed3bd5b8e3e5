//! The parts of an algorithm put together: estimator, token weights, and what they need to know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::needs::Needs;
use crate::requires::RunShape;
use crate::weight::{Stage, TokenWeightConfig, Weighed, with_advantage};
use crate::{AdvantageConfig, Credit, Error, Signals};

/// From signals to credit: an advantage estimator and any number of token weights, multiplied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CreditConfig {
    /// Advantage estimator. Default `grpo`.
    pub advantage: AdvantageConfig,
    /// Token weights, multiplied. Default none.
    pub token_weight: Vec<TokenWeightConfig>,
    /// Whether the product of the weights known before the update is scaled to a mean of 1 over the
    /// trained tokens of groups that have an advantage. Default false: none of the published methods does.
    pub renormalize_weight: bool,
}

impl CreditConfig {
    /// Refuses options outside their range, and a weight that is listed twice.
    pub fn check(&self) -> Result<(), Error> {
        self.advantage.check()?;
        for (index, weight) in self.token_weight.iter().enumerate() {
            weight.method().check()?;
            let twice = self.token_weight[..index].iter();
            if twice.clone().any(|other| other.name() == weight.name()) {
                return Err(Error::Twice {
                    name: weight.name(),
                });
            }
        }
        Ok(())
    }

    /// The signals that must be there.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        self.advantage.method().needs(&mut needs);
        for weight in &self.token_weight {
            weight.method().needs(&mut needs);
        }
        needs
    }

    /// Refuses a run in which a part could do nothing.
    ///
    /// # Errors
    /// What is wrong with the recipe, and what to change.
    pub fn requires(&self, run: &RunShape) -> Result<(), String> {
        for weight in &self.token_weight {
            weight.method().requires(run)?;
        }
        self.advantage.method().requires(run)
    }

    /// `[tokens]` what a token weight sorts the tokens of a batch into, to be stored with them: the sum of the
    /// numbers of the sets that a token is in. None when no weight sorts tokens.
    ///
    /// # Errors
    /// As [`CreditConfig::credit`].
    pub fn token_sets(&self, signals: &Signals<'_>) -> Result<Option<Vec<f32>>, Error> {
        let Some(sorts) = self.token_weight.iter().find_map(|w| w.method().sorts()) else {
            return Ok(None);
        };
        let plain = self.advantage.credit(signals)?;
        sorts.token_sets(signals, &plain).map(Some)
    }

    /// Names of the parts that read a signal made from the image.
    pub fn parts_with_image(&self) -> Vec<&'static str> {
        let reads = |needs: Needs| needs.no_image || needs.visual_entropy;
        let mut names = Vec::new();
        let mut needs = Needs::default();
        self.advantage.method().needs(&mut needs);
        if reads(needs) {
            names.push(self.advantage.name());
        }
        for weight in &self.token_weight {
            let mut needs = Needs::default();
            weight.method().needs(&mut needs);
            if reads(needs) {
                names.push(weight.name());
            }
        }
        names
    }

    /// Assigns credit to every token of a rollout batch: the estimator's advantage times the weights
    /// that are known before the update. Call it on whole groups. `stats`: those of
    /// [`AdvantageConfig::credit`], and `credit/<part>/…` of each part.
    pub fn credit(&self, signals: &Signals<'_>) -> Result<Credit, Error> {
        self.check()?;
        let mut credit = self.advantage.credit(signals)?;
        let mut weighed = false;
        for part in &self.token_weight {
            if part.method().stage() == Stage::Rollout {
                let found = part.method().weigh(signals, &credit)?;
                weighed = true;
                multiply(&mut credit, &found);
                credit.stats.extend(found.stats);
            }
        }
        if weighed && self.renormalize_weight {
            let counts = with_advantage(signals, &credit)?;
            renormalize(&mut credit, &counts);
        }
        if weighed {
            for (value, weight) in credit.advantage.iter_mut().zip(&credit.weight) {
                *value *= weight;
            }
        }
        Ok(credit)
    }

    /// Applies the weights that depend on the current policy to the credit of any set of whole rows:
    /// call it before each [`crate::policy_loss`]. None when there is none. The mask of the result
    /// may be smaller. `stats` are those of these weights, means over the trained tokens given.
    pub fn reweight(
        &self,
        signals: &Signals<'_>,
        credit: &Credit,
    ) -> Result<Option<Credit>, Error> {
        let mut result: Option<Credit> = None;
        for part in &self.token_weight {
            if part.method().stage() != Stage::Update {
                continue;
            }
            let base = result.as_ref().unwrap_or(credit);
            let found = part.method().weigh(signals, base)?;
            let mut next = Credit {
                advantage: base.advantage.clone(),
                weight: match base.weight.is_empty() {
                    true => vec![1.0; base.advantage.len()],
                    false => base.weight.clone(),
                },
                mask: base.mask.clone(),
                stats: result.as_ref().map(|r| r.stats.clone()).unwrap_or_default(),
            };
            multiply(&mut next, &found);
            for (value, weight) in next.advantage.iter_mut().zip(&found.weight) {
                *value *= weight;
            }
            if let Some(mask) = found.mask {
                let dropped = next.mask.iter_mut().zip(&mut next.advantage).zip(&mask);
                for ((trained, advantage), kept) in dropped {
                    *trained &= kept;
                    if !*trained {
                        *advantage = 0.0;
                    }
                }
            }
            next.stats.extend(found.stats);
            result = Some(next);
        }
        Ok(result)
    }
}

fn multiply(credit: &mut Credit, found: &Weighed) {
    for (weight, factor) in credit.weight.iter_mut().zip(&found.weight) {
        *weight *= factor;
    }
}

fn renormalize(credit: &mut Credit, counts: &[bool]) {
    let trained = || credit.weight.iter().zip(counts).filter(|(_, m)| **m);
    let (count, sum) = trained().fold((0usize, 0.0), |(n, s), (w, _)| (n + 1, s + f64::from(*w)));
    if sum <= 0.0 {
        return;
    }
    let scale = count as f64 / sum;
    for (weight, counts) in credit.weight.iter_mut().zip(counts) {
        if *counts {
            *weight = (f64::from(*weight) * scale) as f32;
        }
    }
}
