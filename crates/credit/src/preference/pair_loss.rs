//! What a preference loss is: the trait, what it reads and what it writes.

use std::collections::BTreeMap;

use super::{Kind, PreferenceBatch, PreferenceNeeds, PreferenceState, PreferenceTotals, Scores};
use crate::{Error, Stats};

/// A loss on preference pairs.
pub trait PairLoss: Sync {
    /// Refuses options outside their range.
    fn check(&self) -> Result<(), Error>;

    /// Which responses it contrasts, and what it reads of them.
    fn needs(&self) -> PreferenceNeeds;

    /// Weight of the tokens beyond the length of the pair's shorter response (LD-DPO). None: 1.
    fn tail_weight(&self) -> Option<f64> {
        None
    }

    /// Weight of the tokens in which chosen and rejected answer differ, where the trainer is told none.
    fn segment_weight(&self) -> f64 {
        1.0
    }

    /// Implicit reward of a response, for the metrics.
    fn reward(&self, scores: &Scores, row: usize) -> f64;

    /// Adds loss and slopes to `out`.
    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms);
}

/// Checked input of a loss.
pub struct Pairs<'a> {
    /// As the caller gave it.
    pub batch: &'a PreferenceBatch<'a>,
    /// What means are taken over.
    pub totals: &'a PreferenceTotals,
    /// As the last mini-batch left it.
    pub state: PreferenceState,
    pub(super) scores: BTreeMap<Kind, Scores>,
}

impl Pairs<'_> {
    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.batch.pairs
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.batch.pairs == 0
    }

    /// Scores of the kinds, which the loss must have listed in its needs.
    pub fn of<const N: usize>(&self, kinds: [Kind; N]) -> [&Scores; N] {
        kinds.map(|kind| &self.scores[&kind])
    }
}

/// Slopes with respect to the responses of one kind.
#[derive(Clone, Debug, Default)]
pub struct Slopes {
    /// `[rows]` with respect to the weighted sum of log-probabilities.
    pub log_prob: Vec<f64>,
    /// `[rows]` with respect to the plain sum.
    pub plain: Vec<f64>,
    /// `[rows]` with respect to the sum of divergences from the reference.
    pub ref_kl: Vec<f64>,
    /// `[tokens]` with respect to single log-probabilities. Empty: 0.
    pub token: Vec<f64>,
}

/// Output of a loss. `add` and `slope` take numbers of one pair and divide them by the number of pairs
/// of the mini-batch.
pub struct Terms {
    pub(super) loss: f64,
    pub(super) share: f64,
    pub(super) slopes: BTreeMap<Kind, Slopes>,
    /// Metrics of the method's own, as they are logged.
    pub stats: Stats,
    /// For the next mini-batch.
    pub state: PreferenceState,
}

impl Terms {
    /// Adds the loss of one pair.
    pub fn add(&mut self, loss: f64) {
        self.loss += self.share * loss;
    }

    /// Adds a slope of one pair's loss with respect to the weighted sum of log-probabilities of `row`.
    pub fn slope(&mut self, kind: Kind, row: usize, slope: f64) {
        let share = self.share;
        if let Some(slopes) = self.slopes.get_mut(&kind) {
            slopes.log_prob[row] += share * slope;
        }
    }

    /// Adds a slope of one pair's loss with respect to the sum of divergences of `row`.
    pub fn divergence_slope(&mut self, kind: Kind, row: usize, slope: f64) {
        let share = self.share;
        if let Some(slopes) = self.slopes.get_mut(&kind) {
            slopes.ref_kl[row] += share * slope;
        }
    }

    /// Adds a part of the loss that is normalised already.
    pub fn add_normalised(&mut self, loss: f64) {
        self.loss += loss;
    }

    /// Slopes of `kind`, to be written without normalisation.
    pub fn of_kind(&mut self, kind: Kind) -> Option<&mut Slopes> {
        self.slopes.get_mut(&kind)
    }

    /// Adds to a metric that is a mean over pairs.
    pub fn count(&mut self, name: &'static str, value: f64) {
        *self.stats.entry(name).or_default() += self.share * value;
    }

    /// Adds the negative log-likelihood of the chosen responses, `weight` times the mean over their
    /// tokens.
    pub fn likelihood(&mut self, pairs: &Pairs<'_>, weight: f64) {
        let coefficient = weight / pairs.totals.chosen_tokens.max(1) as f64;
        let [chosen] = pairs.of([Kind::Chosen]);
        let mean: f64 = chosen.plain.iter().sum();
        self.loss -= coefficient * mean;
        if let Some(slopes) = self.slopes.get_mut(&Kind::Chosen) {
            slopes
                .plain
                .iter_mut()
                .for_each(|slope| *slope -= coefficient);
        }
    }
}
