//! ToR: train on the tokens that look and on those that think, and on no others.
//!
//! Over all trained tokens of those groups of the rollout batch that have an advantage (the sets would be
//! spent on nothing in a group whose rewards are all equal; its tokens weigh 1), under the policy that
//! sampled it:
//!
//! * reasoning score: entropy `H_t` of the next-token distribution cut to its top-p nucleus and
//!   renormalised (that it is renormalised is \[INFERRED\]);
//! * perception score: `s_t = |log π(o_t | image, q, o_<t) − log π(o_t | q, o_<t)|`, the same token
//!   with the image taken away;
//! * `T_r`, `T_p`: the `⌈α N⌉` tokens with the highest score of each kind. Exactly that many: with a
//!   nucleus most entropies are 0, so a threshold would select everything. Ties are broken at random
//!   by `seed`.
//! * `w_t = γ_r` in `T_r` (overlap included), `γ_p` in `T_p` alone, `unselected` elsewhere.
//!
//! Tokens of rows without an image have no perception score and are no candidates for `T_p`. The loss
//! still divides by all response tokens, so the gradient's mass shrinks (\[INFERRED\]; scale it back
//! with `renormalize_weight`); a Kullback-Leibler term is not weighed (\[INFERRED\]).
//! Source: arXiv 2603.25077, Eq. 5–9. `γ_p = γ_r = 1` with `α = 1` is the base method, bit for bit.
//!
//! On digit-sum (docs/benchmarks.md) it is level with GRPO (area +0.3 points [−0.5, +1.1], five seeds): more than
//! 70 % of that policy's tokens have a nucleus entropy of 0, so the reasoning set is filled by the tie break.
//! It can help where responses mix looking and thinking and many tokens are uncertain; look at
//! `credit/tor/reasoning_threshold`.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{SortsTokens, TokenWeight, Weighed, keys, spread, with_advantage};
use crate::{Credit, Error, Needs, Signals, error::require};

/// Options of ToR.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tor {
    /// Share of tokens in the reasoning set. Default 0.3.
    pub alpha_r: f64,
    /// Share of tokens in the perception set. Default 0.3.
    pub alpha_p: f64,
    /// Weight of the reasoning set, overlap included. Default 1.
    pub gamma_r: f64,
    /// Weight of the perception set alone. Default 0.5.
    pub gamma_p: f64,
    /// Weight of tokens in neither set. Default 0, as the paper.
    pub unselected: f64,
    /// Nucleus of the reasoning score. Default 0.95.
    pub entropy_top_p: f64,
    /// Breaks ties at the thresholds.
    pub seed: u64,
}

impl Default for Tor {
    fn default() -> Self {
        Self {
            alpha_r: 0.3,
            alpha_p: 0.3,
            gamma_r: 1.0,
            gamma_p: 0.5,
            unselected: 0.0,
            entropy_top_p: 0.95,
            seed: 0,
        }
    }
}

/// The two sets of tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenSets {
    /// `[tokens]` perception, overlap included.
    pub perception: Vec<bool>,
    /// `[tokens]` reasoning, overlap included.
    pub reasoning: Vec<bool>,
}

impl Tor {
    /// The sets over the trained tokens of groups with an advantage; `credit` is that of the estimator,
    /// without token weights.
    pub fn sets(&self, signals: &Signals<'_>, credit: &Credit) -> Result<TokenSets, Error> {
        let counts = with_advantage(signals, credit)?;
        Ok(self.choose(signals, &counts)?.0)
    }

    /// The sets, and the lowest score in each (perception, reasoning; none of an empty set).
    fn choose(
        &self,
        signals: &Signals<'_>,
        mask: &[bool],
    ) -> Result<(TokenSets, [Option<f32>; 2]), Error> {
        let needed = Some("token_weight.tor");
        let entropy = signals.wanted("nucleus_entropy", signals.nucleus_entropy, needed)?;
        let blind = signals.wanted("log_prob_no_image", signals.log_prob_no_image, needed)?;
        signals.per_token("old_log_prob", signals.old_log_prob.len())?;
        let (entropy, blind) = (entropy.unwrap_or_default(), blind.unwrap_or_default());
        let seen = signals.old_log_prob;
        let trained = || (0..mask.len()).filter(|&token| mask[token]);
        let by_entropy = || {
            let scores: Vec<(f32, u32)> = trained().map(|t| (entropy[t], t as u32)).collect();
            top(&scores, self.alpha_r, self.seed, mask.len())
        };
        let by_dependence = || {
            let score = |t: usize| (f64::from(seen[t]) - f64::from(blind[t])).abs() as f32;
            let scores = trained().map(|t| (score(t), t as u32));
            let scores: Vec<(f32, u32)> = scores.filter(|(score, _)| !score.is_nan()).collect();
            top(&scores, self.alpha_p, self.seed ^ 1, mask.len())
        };
        let (reasoning, perception) = rayon::join(by_entropy, by_dependence);
        let thresholds = [perception.1, reasoning.1];
        let sets = TokenSets {
            perception: perception.0,
            reasoning: reasoning.0,
        };
        Ok((sets, thresholds))
    }
}

/// The `⌈share · N⌉` tokens with the highest score, ties by lot, and the lowest score among them.
fn top(scores: &[(f32, u32)], share: f64, seed: u64, tokens: usize) -> (Vec<bool>, Option<f32>) {
    let mut chosen = vec![false; tokens];
    // A product like 0.3 · 10 that comes out a little above its value must not round up.
    let count = (share * scores.len() as f64 - 1e-9).ceil().max(0.0) as usize;
    let count = count.min(scores.len());
    if count == 0 {
        return (chosen, None);
    }
    let mut keys: Vec<u32> = scores.iter().map(|(score, _)| ascending(*score)).collect();
    let rank = keys.len() - count;
    let (_, &mut threshold, _) = keys.select_nth_unstable(rank);
    let mut ties = Vec::new();
    let mut lowest = None;
    let mut left = count;
    for &(score, token) in scores {
        match ascending(score).cmp(&threshold) {
            Ordering::Greater => {
                chosen[token as usize] = true;
                left -= 1;
            }
            Ordering::Equal => {
                lowest = Some(score);
                ties.push((scramble(seed, token), token));
            }
            Ordering::Less => {}
        }
    }
    if left < ties.len() {
        ties.select_nth_unstable(left.saturating_sub(1));
    }
    for (_, token) in &ties[..left] {
        chosen[*token as usize] = true;
    }
    (chosen, lowest)
}

/// A number's bits, ordered as the numbers are.
fn ascending(score: f32) -> u32 {
    // −0 equals 0.
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 0 {
        bits | 1 << 31
    } else {
        !bits
    }
}

/// SplitMix64 of a token's place.
fn scramble(seed: u64, token: u32) -> u64 {
    let mut z = seed
        .wrapping_add(u64::from(token) + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl SortsTokens for Tor {
    /// 1 for perception, 2 for reasoning.
    fn token_sets(&self, signals: &Signals<'_>, credit: &Credit) -> Result<Vec<f32>, Error> {
        let sets = self.sets(signals, credit)?;
        let pairs = sets.perception.into_iter().zip(sets.reasoning);
        let number = |(perception, reasoning)| u8::from(perception) + 2 * u8::from(reasoning);
        Ok(pairs.map(|pair| f32::from(number(pair))).collect())
    }
}

impl TokenWeight for Tor {
    fn check(&self) -> Result<(), Error> {
        let share = "it must lie between 0 and 1";
        for (field, value) in [("tor.alpha_r", self.alpha_r), ("tor.alpha_p", self.alpha_p)] {
            require((0.0..=1.0).contains(&value), field, value, share)?;
        }
        let weights = [
            ("tor.gamma_r", self.gamma_r),
            ("tor.gamma_p", self.gamma_p),
            ("tor.unselected", self.unselected),
        ];
        for (field, value) in weights {
            let ok = value.is_finite() && value >= 0.0;
            require(ok, field, value, "it must be at least 0")?;
        }
        require(
            self.entropy_top_p > 0.0 && self.entropy_top_p <= 1.0,
            "tor.entropy_top_p",
            self.entropy_top_p,
            "it must lie between 0 and 1",
        )
    }

    fn needs(&self, needs: &mut Needs) {
        needs.old_log_prob = true;
        needs.no_image = true;
        needs.nucleus_entropy = Some(self.entropy_top_p);
    }

    fn sorts(&self) -> Option<&dyn SortsTokens> {
        Some(self)
    }

    fn weigh(&self, signals: &Signals<'_>, credit: &Credit) -> Result<Weighed, Error> {
        let counts = with_advantage(signals, credit)?;
        let (sets, [perceived, reasoned]) = self.choose(signals, &counts)?;
        let (mut trained, mut perception, mut reasoning, mut both) =
            (0usize, 0usize, 0usize, 0usize);
        let mut weight = vec![1.0; credit.mask.len()];
        for (token, weight) in weight.iter_mut().enumerate() {
            if !counts[token] {
                continue;
            }
            let (p, r) = (sets.perception[token], sets.reasoning[token]);
            *weight = match (p, r) {
                (_, true) => self.gamma_r,
                (true, false) => self.gamma_p,
                (false, false) => self.unselected,
            } as f32;
            trained += 1;
            perception += usize::from(p);
            reasoning += usize::from(r);
            both += usize::from(p && r);
        }
        let mut stats = spread(&keys!("tor"), &weight, &counts);
        if trained > 0 {
            let share = |n: usize| n as f64 / trained as f64;
            stats.extend([
                ("credit/tor/perception_ratio", share(perception)),
                ("credit/tor/reasoning_ratio", share(reasoning)),
                ("credit/tor/overlap_ratio", share(both)),
            ]);
        }
        for (name, lowest) in [
            ("credit/tor/perception_threshold", perceived),
            ("credit/tor/reasoning_threshold", reasoned),
        ] {
            if let Some(score) = lowest.filter(|score| score.is_finite()) {
                stats.insert(name, f64::from(score));
            }
        }
        Ok(Weighed {
            weight,
            mask: None,
            stats,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Offsets;

    fn batch(offsets: &Offsets) -> Signals<'_> {
        Signals {
            offsets,
            group: &[0],
            rewards: &[Some(1.0)],
            mask: &[true; 10],
            old_log_prob: &[-1.0; 10],
            nucleus_entropy: Some(&[0.9, 0.8, 0.7, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
            log_prob_no_image: Some(&[-9.0, -1.0, -1.0, -5.0, -4.0, -1.0, -1.0, -1.0, -1.0, -1.0]),
            ..Signals::default()
        }
    }

    fn weights(tor: &Tor) -> Vec<f32> {
        let offsets = Offsets::from_lengths([10]);
        let found = tor.weigh(&batch(&offsets), &credit(10, 1.0));
        found.unwrap().weight
    }

    fn credit(tokens: usize, advantage: f32) -> Credit {
        Credit {
            advantage: vec![advantage; tokens],
            weight: vec![1.0; tokens],
            mask: vec![true; tokens],
            ..Credit::default()
        }
    }

    // C9
    #[test]
    fn a_group_without_advantage_takes_no_place_in_the_sets() {
        let offsets = Offsets::from_lengths([10, 10]);
        let high: Vec<f32> = (0..20).map(|t| t as f32).collect();
        let signals = Signals {
            offsets: &offsets,
            group: &[4, 7],
            rewards: &[Some(1.0), Some(1.0)],
            mask: &[true; 20],
            old_log_prob: &[-1.0; 20],
            nucleus_entropy: Some(&high),
            log_prob_no_image: Some(&high),
            ..Signals::default()
        };
        let mut credit = credit(20, 0.5);
        // The second group, which has the highest scores, has equal rewards.
        credit.advantage[10..].fill(0.0);
        let sets = Tor::default().sets(&signals, &credit).unwrap();
        for set in [&sets.perception, &sets.reasoning] {
            let chosen: Vec<usize> = (0..20).filter(|&t| set[t]).collect();
            assert_eq!(chosen, [7, 8, 9]);
        }
        let weighed = Tor::default().weigh(&signals, &credit).unwrap();
        assert_eq!(weighed.weight[10..], [1.0; 10]);
        assert!((weighed.stats["credit/tor/reasoning_ratio"] - 0.3).abs() < 1e-12);
    }

    #[test]
    fn a_token_of_both_sets_gets_the_weight_of_reasoning() {
        let found = weights(&Tor::default());
        assert_eq!(found, [1.0, 1.0, 1.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn the_sets_have_their_size_even_with_ties() {
        for seed in 0..20 {
            let tor = Tor {
                alpha_r: 0.6,
                alpha_p: 0.8,
                seed,
                ..Tor::default()
            };
            let offsets = Offsets::from_lengths([10]);
            let sets = tor.sets(&batch(&offsets), &credit(10, 1.0)).unwrap();
            let count = |set: &[bool]| set.iter().filter(|x| **x).count();
            assert_eq!((count(&sets.reasoning), count(&sets.perception)), (6, 8));
        }
    }

    #[test]
    fn the_thresholds_are_the_lowest_scores_that_are_in() {
        let offsets = Offsets::from_lengths([10]);
        let mask = [true; 10];
        let (_, found) = Tor::default().choose(&batch(&offsets), &mask).unwrap();
        assert_eq!(found, [Some(3.0), Some(0.7)]);
    }

    #[test]
    fn a_missing_signal_is_named() {
        let offsets = Offsets::from_lengths([10]);
        let signals = Signals {
            log_prob_no_image: None,
            ..batch(&offsets)
        };
        let found = Tor::default().sets(&signals, &credit(10, 1.0));
        let error = found.unwrap_err().to_string();
        assert!(
            error.contains("log_prob_no_image") && error.contains("tor"),
            "{error}"
        );
    }
}
