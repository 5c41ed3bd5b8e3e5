//! The preference loss of a micro-batch and its gradient.

use std::collections::BTreeMap;

use super::{
    Kind, PairLoss, Pairs, PreferenceBatch, PreferenceConfig, PreferenceNeeds, PreferenceState,
    PreferenceTotals, Responses, Scores, Slopes, Terms, scores::TokenWeights,
};
use crate::{Error, Stats, signals::same_length};

/// Loss of a micro-batch, as its share of the mini-batch's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PreferenceLoss {
    /// The scalar to minimise: a mean over pairs.
    pub loss: f64,
    /// By kind of response; kinds without a gradient are absent.
    pub gradients: BTreeMap<Kind, ResponseGradient>,
    /// Metrics that add up over the micro-batches of a mini-batch, by TRL's names: `rewards/chosen`,
    /// `rewards/rejected`, `rewards/accuracies`, `rewards/margins`, `logps/chosen`, `logps/rejected`, and
    /// for other kinds `rewards/<kind>`, `logps/<kind>`, `rewards/<kind>/accuracies`,
    /// `rewards/<kind>/margins` (chosen against that kind); means over the pairs that have it. And the
    /// loss's own.
    pub metrics: Stats,
    /// To be handed to the next mini-batch.
    pub state: PreferenceState,
}

/// Gradient with respect to the responses of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseGradient {
    /// `[tokens]` `∂loss/∂log_prob`.
    pub d_log_prob: Vec<f32>,
    /// `[tokens]` `∂loss/∂ref_kl`; empty unless the loss reads the divergences of this kind.
    pub d_ref_kl: Vec<f32>,
}

/// Computes the loss of a micro-batch of pairs and its exact gradient; `totals` counts the mini-batch
/// it belongs to, `state` is what the last mini-batch returned.
///
/// Arithmetic is in f64. Loss and gradient are finite whatever the margins; a log-probability that is
/// not a number makes the loss NaN.
///
/// ```
/// use std::collections::BTreeMap;
/// use percept_credit::{Offsets, preference::*};
///
/// // One pair; answers of two tokens and of one. The policy already prefers the first.
/// let (two, one) = (Offsets::from_lengths([2]), Offsets::from_lengths([1]));
/// let chosen = Responses { log_prob: Some(&[-1.0, -1.0]), ref_log_prob: Some(&[-2.0, -1.0]), ..Responses::new(&two) };
/// let rejected = Responses { log_prob: Some(&[-3.0]), ref_log_prob: Some(&[-3.0]), ..Responses::new(&one) };
/// let responses = BTreeMap::from([(Kind::Chosen, chosen), (Kind::Rejected, rejected)]);
/// let batch = PreferenceBatch { pairs: 1, responses, ..PreferenceBatch::default() };
/// let totals = PreferenceTotals::of(&batch);
/// let found = preference_loss(&PreferenceConfig::default(), &batch, &PreferenceState::default(), &totals)?;
/// assert!((found.loss - (1.0 + (-0.1f64).exp()).ln()).abs() < 1e-9);
/// assert!(found.gradients[&Kind::Chosen].d_log_prob[0] < 0.0);
/// # Ok::<(), percept_credit::Error>(())
/// ```
///
/// Errors: slices of different lengths, options outside their range, what the loss needs and the batch
/// does not carry, and a part of a mini-batch where the loss needs the whole.
pub fn preference_loss(
    config: &PreferenceConfig,
    batch: &PreferenceBatch<'_>,
    state: &PreferenceState,
    totals: &PreferenceTotals,
) -> Result<PreferenceLoss, Error> {
    let (method, needs) = (config.method(), config.needs());
    let Contrasted {
        pairs,
        weights,
        mut terms,
    } = contrasted(config, batch, state, totals)?;
    let mut metrics = metrics(method, &pairs, &needs);
    metrics.append(&mut terms.stats);
    let gradients = terms.slopes.iter().filter_map(|(&kind, slopes)| {
        let needs = needs.of_kind(kind);
        let responses = &batch.responses[&kind];
        (needs.gradient || needs.ref_kl).then(|| {
            let d_log_prob = spread(responses, slopes, &weights[&kind]);
            let d_ref_kl = if needs.ref_kl {
                per_row(responses, &slopes.ref_kl)
            } else {
                Vec::new()
            };
            (
                kind,
                ResponseGradient {
                    d_log_prob,
                    d_ref_kl,
                },
            )
        })
    });
    Ok(PreferenceLoss {
        loss: terms.loss,
        gradients: gradients.collect(),
        metrics,
        state: terms.state,
    })
}

/// What a loss makes of a batch, by response.
pub(super) struct Contrasted<'a> {
    pub pairs: Pairs<'a>,
    pub weights: BTreeMap<Kind, TokenWeights<'a>>,
    pub terms: Terms,
}

/// Sums over responses and the loss's slopes with respect to them.
pub(super) fn contrasted<'a>(
    config: &PreferenceConfig,
    batch: &'a PreferenceBatch<'a>,
    state: &PreferenceState,
    totals: &'a PreferenceTotals,
) -> Result<Contrasted<'a>, Error> {
    config.check()?;
    let method = config.method();
    let needs = method.needs();
    batch.check(&needs, config.name())?;
    if needs.whole_batch {
        let axis = "pairs, which this loss needs together";
        same_length("responses", batch.pairs, totals.pairs, axis)?;
    }
    let weights = token_weights(batch, &needs, method.tail_weight());
    let scores = weights.iter().map(|(&kind, weights)| {
        let scores = Scores::new(
            &batch.responses[&kind],
            batch.pairs,
            needs.of_kind(kind),
            weights,
        );
        (kind, scores)
    });
    let pairs = Pairs {
        batch,
        totals,
        state: *state,
        scores: scores.collect(),
    };
    let mut terms = Terms {
        loss: 0.0,
        share: 1.0 / totals.pairs.max(1) as f64,
        slopes: pairs
            .scores
            .iter()
            .map(|(&kind, scores)| (kind, zeros(scores)))
            .collect(),
        stats: Stats::new(),
        state: *state,
    };
    method.contrast(&pairs, &mut terms);
    Ok(Contrasted {
        pairs,
        weights,
        terms,
    })
}

/// Token weights of each kind that is needed.
fn token_weights<'a>(
    batch: &PreferenceBatch<'a>,
    needs: &PreferenceNeeds,
    alpha: Option<f64>,
) -> BTreeMap<Kind, TokenWeights<'a>> {
    let of = |kind| batch.responses.get(&kind);
    let shared = alpha.zip(of(Kind::Chosen)).zip(of(Kind::Rejected));
    let shared = shared.map(|((alpha, chosen), rejected)| {
        let shorter = |pair| chosen.tokens(pair).min(rejected.tokens(pair));
        ((0..batch.pairs).map(shorter).collect::<Vec<_>>(), alpha)
    });
    let kinds = needs.kinds.keys();
    kinds
        .map(|&kind| {
            (
                kind,
                TokenWeights::new(&batch.responses[&kind], shared.clone()),
            )
        })
        .collect()
}

fn zeros(scores: &Scores) -> Slopes {
    let rows = scores.length.len();
    Slopes {
        log_prob: vec![0.0; rows],
        plain: vec![0.0; rows],
        ref_kl: vec![0.0; rows],
        token: Vec::new(),
    }
}

/// Slopes per row as slopes per token.
fn spread(responses: &Responses<'_>, slopes: &Slopes, weights: &TokenWeights<'_>) -> Vec<f32> {
    let mut out = Vec::with_capacity(responses.offsets.tokens());
    for (row, tokens) in responses.offsets.iter().enumerate() {
        for (position, token) in tokens.enumerate() {
            let own = slopes.token.get(token).copied().unwrap_or(0.0);
            let weighted = slopes.log_prob[row] * weights.of(row, position, token);
            out.push(finite(weighted + slopes.plain[row] + own));
        }
    }
    out
}

fn per_row(responses: &Responses<'_>, slopes: &[f64]) -> Vec<f32> {
    let rows = responses.offsets.lengths().zip(slopes);
    rows.flat_map(|(tokens, &slope)| std::iter::repeat_n(finite(slope), tokens))
        .collect()
}

/// Rounds to f32; what is beyond its range becomes its largest number.
fn finite(slope: f64) -> f32 {
    slope.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// TRL's metrics of every kind that the policy was asked about.
fn metrics(method: &dyn PairLoss, pairs: &Pairs<'_>, needs: &PreferenceNeeds) -> Stats {
    let mut stats = Stats::new();
    let reward = |scores: &Scores, pair: usize| {
        let rows = scores.rows[pair].clone();
        let count = rows.len() as f64;
        rows.map(|row| method.reward(scores, row)).sum::<f64>() / count
    };
    for (kind, scores) in &pairs.scores {
        let needs = needs.of_kind(*kind);
        if *kind == Kind::General || !needs.log_prob {
            continue;
        }
        let names = kind.metrics();
        let share = 1.0 / pairs.totals.kinds.get(kind).copied().unwrap_or(0).max(1) as f64;
        let mut add = |name, value: f64| *stats.entry(name).or_default() += share * value;
        for pair in (0..pairs.len()).filter(|&pair| !scores.rows[pair].is_empty()) {
            let rows = scores.rows[pair].clone();
            let own = reward(scores, pair);
            add(names.reward, own);
            add(
                names.log_prob,
                scores.log_prob[rows.clone()].iter().sum::<f64>() / rows.len() as f64,
            );
            let Some((accuracies, margins)) = names.contrast else {
                continue;
            };
            let Some(chosen) = pairs.scores.get(&Kind::Chosen) else {
                continue;
            };
            let chosen = reward(chosen, pair);
            add(accuracies, f64::from(chosen > own));
            add(margins, chosen - own);
        }
    }
    stats
}
