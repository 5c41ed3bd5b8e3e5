//! Metrics of a step: TRL's names for what a pair says.

use percept_credit::preference::Kind;

use crate::policy::values::Update;
use crate::run::observer::Metrics;
use crate::stages::dpo::pair::Pair;
use crate::stages::dpo::setup::Setup;
use crate::stages::dpo::update::Updated;

/// What a step took.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    pub(crate) pairs: usize,
    pub(crate) skipped: usize,
    pub(crate) language_only: usize,
    /// Tokens of chosen and of all answers that the pairs contrast.
    pub(crate) trained_tokens: usize,
    pub(crate) reference_s: f64,
    pub(crate) step_s: f64,
}

impl Cost {
    /// Counts of `pairs`, on the way to which `skipped` rows gave none.
    pub(crate) fn of(pairs: &[&Pair], skipped: usize) -> Self {
        let language = |pair: &&&Pair| !pair.is_general() && !pair.has(Kind::ChosenRejectedImage);
        let responses = pairs.iter().flat_map(|pair| &pair.responses);
        Self {
            pairs: pairs.iter().filter(|pair| !pair.is_general()).count(),
            skipped,
            language_only: pairs.iter().filter(language).count(),
            trained_tokens: responses.map(|response| response.tokens.len()).sum(),
            ..Self::default()
        }
    }
}

/// The metrics of a step.
pub(crate) fn collect(
    setup: &Setup<'_>,
    updated: &Updated,
    update: &Update,
    lr: f64,
    cost: &Cost,
) -> Metrics {
    let (grad_norm, skipped_updates) = match update {
        Update::Done { grad_norm } => (*grad_norm, 0.0),
        Update::NotFinite => (f64::NAN, 1.0),
    };
    let mut named = vec![("train/loss", updated.loss)];
    named.extend(updated.metrics.iter().map(|(&name, &value)| (name, value)));
    named.extend([
        ("train/grad_norm", grad_norm),
        ("train/lr", lr),
        ("train/skipped_updates", skipped_updates),
        ("train/trained_tokens", cost.trained_tokens as f64),
        ("data/skipped_rows", cost.skipped as f64),
    ]);
    if setup.needs.kinds.contains_key(&Kind::ChosenRejectedImage) {
        named.push(("data/language_only_pairs", cost.language_only as f64));
    }
    named.extend([
        ("perf/total_num_tokens", updated.tokens as f64),
        ("perf/vision_tokens", updated.vision_tokens as f64),
        ("perf/throughput", updated.tokens as f64 / cost.step_s),
        ("timing_s/reference", cost.reference_s),
        ("timing_s/step", cost.step_s),
    ]);
    let owned = named.into_iter();
    owned
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
