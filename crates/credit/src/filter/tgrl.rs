//! TGRL's filter: which expert trajectory may enter which group. The paper's text is not public: all of
//! this is \[INFERRED\].
//!
//! A candidate enters the group of its prompt if
//!
//! 1. the first reward function calls it right: its score is at least `min_score` (a graded score such as
//!    the overlap of boxes is hardly ever 1);
//! 2. it is grounded: its mean perception score `G = mean_t |log π(e_t | image) − log π(e_t | no image)|`
//!    is at least the `g_min_quantile` of the pool (an answer that needs no image teaches no looking);
//! 3. it is reachable: its mean negative log-likelihood under the student is at most the
//!    `nll_max_quantile` of the pool;
//! 4. the prompt still needs it: the accuracy of the policy's own responses is at most `p_gate`, so that
//!    guidance fades as the student succeeds.
//!
//! Of several, those with the largest `G` (ties: the shortest), `n_expert` at most. Quantiles are linear
//! ones over all candidates of the pool that is passed in.
//! Source: TGRL, arXiv 2603.26126 (abstract: trajectory filtering).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ExpertCandidate, ExpertFilter, Filter};
use crate::{Error, RunShape, error::require};

/// Options of TGRL's filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TgrlFilter {
    /// Experts in a group at most. Default 1 \[INFERRED\].
    pub n_expert: usize,
    /// Score of the first reward function from which a candidate counts as right. Default 0.5
    /// \[INFERRED\]: right is 1 and wrong 0 where a function says just that, and an overlap of boxes of
    /// 0.5 is what counts as found.
    pub min_score: f64,
    /// Quantile of grounding below which a candidate is left out. Default 0.25 \[INFERRED\].
    pub g_min_quantile: f64,
    /// Quantile of negative log-likelihood above which it is left out. Default 0.95 \[INFERRED\].
    pub nll_max_quantile: f64,
    /// Accuracy of the policy on the prompt above which no expert enters. Default 0.5 \[INFERRED\]; 1
    /// always guides.
    pub p_gate: f64,
}

impl Default for TgrlFilter {
    fn default() -> Self {
        Self {
            n_expert: 1,
            min_score: 0.5,
            g_min_quantile: 0.25,
            nll_max_quantile: 0.95,
            p_gate: 0.5,
        }
    }
}

impl TgrlFilter {
    /// For each prompt, the indices of the candidates that enter its group, best first. `accuracy` is
    /// that of the policy's own responses, by prompt.
    ///
    /// ```
    /// use percept_credit::{ExpertCandidate, TgrlFilter};
    /// let candidate = ExpertCandidate { right: true, grounding: 1.0, nll: 0.5, tokens: 9, prompt: 0 };
    /// let chosen = TgrlFilter::default().select(&[candidate], &[0.25]);
    /// assert_eq!(chosen, [vec![0]]);
    /// ```
    pub fn select(&self, pool: &[ExpertCandidate], accuracy: &[f64]) -> Vec<Vec<usize>> {
        let mut chosen = vec![Vec::new(); accuracy.len()];
        let g_min = quantile(pool.iter().map(|c| c.grounding), self.g_min_quantile);
        let nll_max = quantile(pool.iter().map(|c| c.nll), self.nll_max_quantile);
        for (index, candidate) in pool.iter().enumerate() {
            let needed = accuracy
                .get(candidate.prompt)
                .is_some_and(|&accuracy| accuracy <= self.p_gate);
            let good = candidate.right && candidate.grounding >= g_min && candidate.nll <= nll_max;
            if needed && good {
                chosen[candidate.prompt].push(index);
            }
        }
        for of_prompt in &mut chosen {
            of_prompt.sort_by(|&a, &b| {
                let (a, b) = (&pool[a], &pool[b]);
                b.grounding
                    .total_cmp(&a.grounding)
                    .then(a.tokens.cmp(&b.tokens))
            });
            of_prompt.truncate(self.n_expert);
        }
        chosen
    }
}

/// Linear interpolation between the two nearest values, as NumPy's; NaN of nothing.
fn quantile(values: impl Iterator<Item = f64>, q: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    let at = q * (values.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    values[low] + (values[high] - values[low]) * (at - low as f64)
}

impl Filter for TgrlFilter {
    fn check(&self) -> Result<(), Error> {
        let experts = self.n_expert as f64;
        require(
            self.n_expert > 0,
            "filter.n_expert",
            experts,
            "it must be at least 1",
        )?;
        let score = self.min_score;
        require(
            score.is_finite(),
            "filter.min_score",
            score,
            "it must be a finite number",
        )?;
        for (field, value) in [
            ("filter.g_min_quantile", self.g_min_quantile),
            ("filter.nll_max_quantile", self.nll_max_quantile),
            ("filter.p_gate", self.p_gate),
        ] {
            let ok = (0.0..=1.0).contains(&value);
            require(ok, field, value, "it must lie between 0 and 1")?;
        }
        Ok(())
    }
    fn requires(&self, run: &RunShape) -> Result<(), String> {
        if self.n_expert >= run.num_generations {
            return Err(format!(
                "filter \"tgrl\": n_expert is {}, and a group has {} responses: none would be the policy's own\n  \
                 help: lower n_expert below rollout.num_generations",
                self.n_expert, run.num_generations
            ));
        }
        if run.grouped {
            return Ok(());
        }
        Err(format!(
            "filter \"tgrl\" puts experts into groups, but advantage {:?} has no groups\n  \
             help: use grpo, rloo, durian or tgrl",
            run.advantage
        ))
    }

    fn experts(&self) -> Option<&dyn ExpertFilter> {
        Some(self)
    }
}

impl ExpertFilter for TgrlFilter {
    fn n_expert(&self) -> usize {
        self.n_expert
    }

    fn is_right(&self, score: f64) -> bool {
        score >= self.min_score
    }

    fn choose(&self, pool: &[ExpertCandidate], accuracy: &[f64]) -> Vec<Vec<usize>> {
        self.select(pool, accuracy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(prompt: usize, grounding: f64) -> ExpertCandidate {
        ExpertCandidate {
            prompt,
            right: true,
            grounding,
            nll: 1.0,
            tokens: 5,
        }
    }

    #[test]
    fn guidance_ends_where_the_policy_succeeds() {
        let pool = [candidate(0, 1.0), candidate(1, 1.0)];
        let chosen = TgrlFilter::default().select(&pool, &[0.5, 0.6]);
        assert_eq!(chosen, [vec![0], vec![]]);
    }

    #[test]
    fn wrong_and_ungrounded_candidates_stay_out() {
        let mut pool: Vec<_> = (0..5).map(|i| candidate(i, i as f64)).collect();
        pool[4].right = false;
        let chosen = TgrlFilter::default().select(&pool, &[0.0; 5]);
        let entered: Vec<usize> = chosen.into_iter().flatten().collect();
        assert_eq!(entered, [1, 2, 3]);
    }

    #[test]
    fn the_best_grounded_one_enters() {
        let pool = [candidate(0, 1.0), candidate(0, 3.0), candidate(0, 2.0)];
        assert_eq!(TgrlFilter::default().select(&pool, &[0.0]), [vec![1]]);
    }
}
