//! Metrics of the updates of one rollout batch, each divided by what it was computed from: the same
//! rollouts under the same weights give the same numbers, however they are cut into mini-batches.
//!
//! | metric | mean over |
//! |---|---|
//! | losses (`actor/pg_loss`, `actor/kl_loss`, `actor/expert_loss`) | all trained tokens, or all responses where `loss_agg_mode` averages responses; a token without a gradient costs 0 |
//! | `actor/pg_clipfrac`, `actor/pg_clipfrac_lower` | all trained tokens of the policy; one without advantage is never clipped |
//! | `actor/ppo_kl`, `actor/tis_*` | the policy's own tokens that went through a forward pass |
//! | `actor/entropy` | all tokens that went through a forward pass |
//! | `actor/expert_grad_share` | the gradient at the logits, `Σ |∂L/∂log p| (1 − p)`: the part of it that is experts' |
//! | `credit/<part>/…` of weights of the current policy | what [`combine_stats`] says; `min` and `max` are those of all tokens |

use percept_credit::{LossAggMode, Normaliser, Stats, add_stats, combine_stats};

/// Tokens that were counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counted {
    /// All of them.
    pub all: usize,
    /// Those of responses that the policy sampled.
    pub own: usize,
}

/// What a micro-batch gave, beyond its metrics.
#[derive(Debug, Clone, Default)]
pub(crate) struct PassMetrics {
    /// [`percept_credit::PolicyLoss::metrics`]: shares of the mini-batch.
    pub metrics: Stats,
    /// Tokens of the loss in this pass.
    pub computed: Counted,
    /// Statistics of the weights of the current policy, with what they count.
    pub weights: Option<(Normaliser, Stats)>,
    /// Gradient at the logits: all of it, and the experts' part.
    pub gradient: [f64; 2],
}

/// Sums over the mini-batches of a step.
#[derive(Debug, Default)]
pub(crate) struct UpdateMetrics {
    sums: Stats,
    total: Normaliser,
    /// Trained tokens of the policy's own responses.
    own: usize,
    computed: Counted,
    weights: Vec<(Normaliser, Stats)>,
    gradient: [f64; 2],
}

/// What a metric is a mean over.
enum Over {
    Loss,
    Own,
    ComputedOwn,
    Computed,
}

fn over(name: &str) -> Over {
    match name {
        "actor/pg_clipfrac" | "actor/pg_clipfrac_lower" => Over::Own,
        "actor/entropy" => Over::Computed,
        "actor/ppo_kl" | "actor/tis_weight" | "actor/tis_capfrac" => Over::ComputedOwn,
        _ => Over::Loss,
    }
}

/// What a loss is divided by.
fn share(mode: LossAggMode, total: &Normaliser) -> f64 {
    match mode {
        LossAggMode::TokenMean => total.tokens as f64,
        _ => total.sequences as f64,
    }
}

impl UpdateMetrics {
    /// Counts a mini-batch, also one that has no gradient.
    pub fn mini_batch(&mut self, total: &Normaliser, own: usize) {
        self.total += *total;
        self.own += own;
    }

    /// Adds a micro-batch of a mini-batch of `total`.
    pub fn pass(&mut self, mode: LossAggMode, total: &Normaliser, pass: PassMetrics) {
        let scaled = pass.metrics.into_iter().map(|(name, value)| {
            let sum = match over(name) {
                Over::Loss => value * share(mode, total),
                _ => value * total.tokens as f64,
            };
            (name, sum)
        });
        add_stats(&mut self.sums, &scaled.collect());
        self.computed.all += pass.computed.all;
        self.computed.own += pass.computed.own;
        self.weights.extend(pass.weights);
        for (sum, part) in self.gradient.iter_mut().zip(pass.gradient) {
            *sum += part;
        }
    }

    /// The means; nothing that was not computed.
    pub fn means(&self, mode: LossAggMode) -> Stats {
        let mut means = combine_stats(&self.weights);
        for (&name, &sum) in &self.sums {
            let count = match over(name) {
                Over::Loss => share(mode, &self.total),
                Over::Own => self.own as f64,
                Over::ComputedOwn => self.computed.own as f64,
                Over::Computed => self.computed.all as f64,
            };
            if count > 0.0 {
                means.insert(name, sum / count);
            }
        }
        let [all, experts] = self.gradient;
        if all > 0.0 && self.computed.own < self.computed.all {
            means.insert("actor/expert_grad_share", experts / all);
        }
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(entropy: f64, loss: f64) -> Stats {
        Stats::from([("actor/entropy", entropy), ("actor/pg_loss", loss)])
    }

    /// Entropies of the tokens of responses; a response without gradient is not computed.
    fn step(responses: &[(usize, f64, f64, bool)], size: usize, mode: LossAggMode) -> Stats {
        let mut metrics = UpdateMetrics::default();
        for chunk in responses.chunks(size) {
            let total = Normaliser {
                tokens: chunk.iter().map(|r| r.0).sum(),
                sequences: chunk.len(),
            };
            metrics.mini_batch(&total, total.tokens);
            for &(tokens, entropy, loss, computed) in chunk {
                if !computed {
                    continue;
                }
                let share = match mode {
                    LossAggMode::TokenMean => tokens as f64 / total.tokens as f64,
                    _ => 1.0 / total.sequences as f64,
                };
                let entropy = entropy * tokens as f64 / total.tokens as f64;
                metrics.pass(
                    mode,
                    &total,
                    PassMetrics {
                        metrics: stats(entropy, loss * share),
                        computed: Counted {
                            all: tokens,
                            own: tokens,
                        },
                        ..PassMetrics::default()
                    },
                );
            }
        }
        metrics.means(mode)
    }

    // C2
    #[test]
    fn how_rollouts_are_cut_into_mini_batches_changes_no_metric() {
        // Tokens, entropy, loss of a token, whether it has a gradient.
        let responses = [
            (3, 0.5, 1.0, true),
            (9, 0.9, 0.0, false),
            (5, 0.7, -2.0, true),
            (1, 0.1, 0.5, true),
            (4, 2.0, 0.0, false),
            (8, 0.6, 0.25, true),
        ];
        let entropy = (3.0 * 0.5 + 5.0 * 0.7 + 0.1 + 8.0 * 0.6) / 17.0;
        let tokens = (3.0 - 10.0 + 0.5 + 2.0) / 30.0;
        let sequences = (1.0 - 2.0 + 0.5 + 0.25) / 6.0;
        for (mode, loss) in [
            (LossAggMode::TokenMean, tokens),
            (LossAggMode::SeqMeanTokenMean, sequences),
        ] {
            for size in [1, 2, 3, 4, 6] {
                let found = step(&responses, size, mode);
                for (name, expected) in stats(entropy, loss) {
                    let error = (found[name] - expected).abs();
                    assert!(error < 1e-12, "{name} {size}: {} {expected}", found[name]);
                }
            }
        }
    }
}
