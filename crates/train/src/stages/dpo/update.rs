//! The update of one step: the pairs in as few forward passes as fit, the loss of each pass as its share of the
//! step's, its gradient back through the model.

use percept_base::random::unit;
use percept_credit::preference::{
    Kind, PreferenceNeeds, PreferenceState, PreferenceTotals, preference_loss,
};
use percept_credit::{Stats, add_stats};

use percept_kernels::train::KlDirection;

use crate::batch::order::{Stream, dropout_seed};
use crate::batch::pack::{PackItem, Packed, bundle_batches, pack};
use crate::policy::Policy;
use crate::policy::values::{Objective, PassOptions, TokenValues};
use crate::run::stage::Step;
use crate::stages::dpo::columns::{Columns, Known, Values};
use crate::stages::dpo::pair::Pair;
use crate::{Error, PreferenceOptions};

/// What the forward and backward passes of a step did.
#[derive(Debug, Default)]
pub(crate) struct Updated {
    pub(crate) loss: f64,
    /// The loss's metrics.
    pub(crate) metrics: Stats,
    /// Tokens through forward passes with a gradient.
    pub(crate) tokens: usize,
    /// Merged vision tokens that the tower computed for them.
    pub(crate) vision_tokens: usize,
    /// Log-probabilities of all responses before the update.
    pub(crate) log_prob: Values,
    /// Divergences of all responses from the reference, where the loss reads them.
    pub(crate) ref_kl: Option<Values>,
    /// For the next step.
    pub(crate) state: PreferenceState,
}

/// How pairs go through the model.
pub(crate) struct Passes<'a> {
    pub(crate) options: &'a PreferenceOptions,
    pub(crate) needs: &'a PreferenceNeeds,
    pub(crate) seed: u64,
    /// `dpo.ppo_max_token_len`.
    pub(crate) budget: usize,
}

impl Passes<'_> {
    /// Whether a kind goes through the passes with a gradient.
    pub(crate) fn trained(&self, kind: Kind) -> bool {
        trained(self.needs, kind)
    }

    /// The gradients of `pairs`, of which `known` is known without a gradient.
    ///
    /// # Errors
    /// [`Error::Recipe`] for a loss that needs all pairs in one pass where they do not fit; those of the policy.
    pub(crate) fn run<P: Policy>(
        &self,
        step: &mut Step<'_, '_, P>,
        state: PreferenceState,
        pairs: &[&Pair],
        known: &Known,
    ) -> Result<Updated, Error> {
        let whole = Columns::of(pairs, self.needs, &Known::default());
        let draws = self.draws(step.updates.global_step(), whole.pairs());
        let totals = PreferenceTotals::of(&whole.batch(&draws));
        let bundles: Vec<_> = pairs
            .iter()
            .map(|pair| pair.items(|kind| self.trained(kind)).0)
            .collect();
        let parts = bundle_batches(&bundles, self.budget);
        if self.needs.whole_batch && parts.len() > 1 {
            return Err(self.too_large(&bundles));
        }
        let passes = parts.iter().map(|part| pack(&joined(&bundles, part)));
        let passes = passes.collect::<Result<Vec<Packed>, Error>>()?;
        let options = PassOptions {
            ref_kl: self.reads_ref_kl().then_some(KlDirection::Forward),
            ..PassOptions::default()
        };
        step.policy.plan_update(&passes, &options);
        let mut done = Updated {
            state,
            log_prob: Values::none(pairs),
            ..Updated::default()
        };
        for (index, (part, packed)) in parts.iter().zip(&passes).enumerate() {
            let dropout = dropout_seed(self.seed, step.updates.global_step(), 0, index);
            let pass = step.policy.forward(packed, &options, dropout)?;
            done.tokens += packed.batch.tokens.len();
            done.vision_tokens += pass.vision_tokens;
            let part = Part {
                pairs: part.iter().map(|&pair| pairs[pair]).collect(),
                draws: part
                    .iter()
                    .filter_map(|&pair| draws.get(pair).copied())
                    .collect(),
                known: known.select(part),
                at: part,
            };
            let objective = self.objective(part, &pass.values, state, &totals, &mut done)?;
            step.policy.backward(pass.saved, &objective)?;
        }
        Ok(done)
    }

    /// The loss of a pass, and its gradient in the order of the pass's targets.
    fn objective(
        &self,
        part: Part<'_>,
        now: &TokenValues,
        state: PreferenceState,
        totals: &PreferenceTotals,
        done: &mut Updated,
    ) -> Result<Objective, Error> {
        let Part {
            at,
            pairs,
            draws,
            mut known,
        } = part;
        let places: Vec<[usize; 2]> = (0..pairs.len())
            .flat_map(|pair| {
                let (_, responses) = pairs[pair].items(|kind| self.trained(kind));
                responses.into_iter().map(move |response| [pair, response])
            })
            .collect();
        let log_prob = known.log_prob.get_or_insert_with(|| Values::none(&pairs));
        log_prob.put(&pairs, &places, &now.log_prob);
        for (&pair, values) in at.iter().zip(&log_prob.0) {
            done.log_prob.0[pair].clone_from(values);
        }
        if let Some(ref_kl) = &now.ref_kl {
            let mut values = Values::none(&pairs);
            values.put(&pairs, &places, ref_kl);
            let all = done.ref_kl.get_or_insert_with(|| done.log_prob.empty());
            for (&pair, values) in at.iter().zip(&values.0) {
                all.0[pair].clone_from(values);
            }
            known.ref_kl = Some(values);
        }
        let columns = Columns::of(&pairs, self.needs, &known);
        let batch = columns.batch(&draws);
        let found = preference_loss(&self.options.loss, &batch, &state, totals)?;
        let [d_log_prob, d_ref_kl] = columns.gradients(&pairs, &found);
        done.loss += found.loss;
        done.state = found.state;
        add_stats(&mut done.metrics, &found.metrics);
        let flat = |slopes: &Values| -> Vec<f32> {
            let of = |&place: &[usize; 2]| {
                let own = slopes.of(place);
                let count = pairs[place[0]].responses[place[1]].tokens.len();
                // A kind without a gradient has no slopes.
                (0..count).map(|token| own.get(token).copied().unwrap_or(0.0))
            };
            places.iter().flat_map(of).collect()
        };
        Ok(Objective {
            loss: found.loss,
            d_log_prob: flat(&d_log_prob),
            d_entropy: None,
            d_kl: now.ref_kl.is_some().then(|| flat(&d_ref_kl)),
        })
    }

    /// Whether the loss reads divergences from the reference.
    pub(crate) fn reads_ref_kl(&self) -> bool {
        self.needs.kinds.values().any(|needs| needs.ref_kl)
    }

    /// A uniform number for each pair: a function of the step.
    pub(crate) fn draws(&self, global_step: usize, pairs: usize) -> Vec<f64> {
        let mut stream = Stream::new(self.seed, "preference draws", global_step as u64);
        (0..pairs).map(|_| unit(stream.next_u64())).collect()
    }

    fn too_large(&self, bundles: &[Vec<PackItem<'_>>]) -> Error {
        let tokens: usize = bundles.iter().flatten().map(PackItem::tokens).sum();
        Error::Recipe {
            at: "dpo".to_owned(),
            message: format!(
                "loss {} compares the pairs of a step with each other, and this step's have {tokens} tokens; expected \
                 at most dpo.ppo_max_token_len = {}\n  help: raise it, or lower dpo.train_batch_size",
                self.options.loss.name(),
                self.budget
            ),
        }
    }
}

/// Whether a kind goes through the passes with a gradient.
pub(crate) fn trained(needs: &PreferenceNeeds, kind: Kind) -> bool {
    let needs = needs.of_kind(kind);
    needs.gradient || needs.ref_kl
}

/// The pairs of a pass.
struct Part<'a> {
    /// Their places among those of the step.
    at: &'a [usize],
    pairs: Vec<&'a Pair>,
    draws: Vec<f64>,
    known: Known,
}

fn joined<'a>(bundles: &[Vec<PackItem<'a>>], part: &[usize]) -> Vec<PackItem<'a>> {
    let items = part.iter().flat_map(|&pair| bundles[pair].iter());
    items.cloned().collect()
}
