//! Properties of the preference losses on random ragged batches of pairs.

use std::collections::BTreeMap;

use percept_credit::preference::{
    Kind, PreferenceBatch, PreferenceConfig, PreferenceLoss, PreferenceNeeds, PreferenceState,
    PreferenceTotals, Responses, preference_loss,
};
use percept_credit::{Offsets, add_stats};
use proptest::prelude::*;

use crate::batch::STEP;

/// The responses of one kind, one per pair.
#[derive(Clone, Debug)]
struct Owned {
    offsets: Offsets,
    log_prob: Vec<f32>,
    ref_log_prob: Vec<f32>,
    weight: Vec<f32>,
    ref_kl: Vec<f32>,
    phrase: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Batch {
    pairs: usize,
    responses: BTreeMap<Kind, Owned>,
    per_pair: Vec<f32>,
    draw: Vec<f64>,
}

impl Batch {
    fn borrow(&self) -> PreferenceBatch<'_> {
        let responses = self.responses.iter().map(|(&kind, owned)| {
            let responses = Responses {
                log_prob: Some(&owned.log_prob),
                ref_log_prob: Some(&owned.ref_log_prob),
                weight: Some(&owned.weight),
                ref_kl: Some(&owned.ref_kl),
                phrase: Some(&owned.phrase),
                ..Responses::new(&owned.offsets)
            };
            (kind, responses)
        });
        PreferenceBatch {
            pairs: self.pairs,
            responses: responses.collect(),
            clip_gap: Some(&self.per_pair),
            confidence: Some(&self.per_pair),
            draw: Some(&self.draw),
        }
    }

    /// The batch that consists of `pairs`, in that order.
    fn select(&self, pairs: &[usize]) -> Self {
        let responses = self.responses.iter().map(|(&kind, owned)| {
            let tokens = |values: &[f32]| owned.offsets.gather(pairs, values);
            let owned = Owned {
                offsets: owned.offsets.select(pairs),
                log_prob: tokens(&owned.log_prob),
                ref_log_prob: tokens(&owned.ref_log_prob),
                weight: tokens(&owned.weight),
                ref_kl: tokens(&owned.ref_kl),
                phrase: owned.offsets.gather(pairs, &owned.phrase),
            };
            (kind, owned)
        });
        Self {
            pairs: pairs.len(),
            responses: responses.collect(),
            per_pair: pairs.iter().map(|&pair| self.per_pair[pair]).collect(),
            draw: pairs.iter().map(|&pair| self.draw[pair]).collect(),
        }
    }

    fn loss(&self, config: &PreferenceConfig) -> PreferenceLoss {
        let batch = self.borrow();
        let totals = PreferenceTotals::of(&batch);
        preference_loss(config, &batch, &PreferenceState::default(), &totals).unwrap()
    }
}

fn logs(tokens: usize, largest: i32) -> impl Strategy<Value = Vec<f32>> {
    let steps = (-largest..0).prop_map(|steps| steps as f32 * STEP);
    prop::collection::vec(steps, tokens)
}

fn responses(lengths: Vec<usize>, largest: i32) -> impl Strategy<Value = Owned> {
    let tokens = lengths.iter().sum();
    (
        logs(tokens, largest),
        logs(tokens, largest),
        prop::collection::vec(prop::sample::select(vec![1.0f32, 4.0]), tokens),
        prop::collection::vec((0i32..2048).prop_map(|steps| steps as f32 * STEP), tokens),
        prop::collection::vec(0u32..3, tokens),
    )
        .prop_map(
            move |(log_prob, ref_log_prob, weight, ref_kl, phrase)| Owned {
                offsets: Offsets::from_lengths(lengths.iter().copied()),
                log_prob,
                ref_log_prob,
                weight,
                ref_kl,
                phrase,
            },
        )
}

/// 1 to 4 pairs with responses of 1 to 3 tokens of every kind; log-probabilities of up to `largest`
/// steps of 2⁻¹², so that a step is exact in f32.
fn batches_of(largest: i32) -> impl Strategy<Value = Batch> {
    let lengths = |pairs: usize| prop::collection::vec(1usize..4, pairs);
    (1usize..5).prop_flat_map(move |pairs| {
        let kind = lengths(pairs).prop_flat_map(move |lengths| responses(lengths, largest));
        (
            prop::collection::vec(kind, Kind::ALL.len()),
            prop::collection::vec(0.0f32..1.0, pairs),
            prop::collection::vec(0.01f64..0.99, pairs),
        )
            .prop_map(move |(all, per_pair, draw)| Batch {
                pairs,
                responses: Kind::ALL.iter().copied().zip(all).collect(),
                per_pair,
                draw,
            })
    })
}

fn batches() -> impl Strategy<Value = Batch> {
    batches_of(8192)
}

fn read(text: &str) -> PreferenceConfig {
    #[derive(serde::Deserialize)]
    struct Recipe {
        loss: PreferenceConfig,
    }
    toml::from_str::<Recipe>(&format!("loss = {text}"))
        .unwrap()
        .loss
}

/// Every loss, and every loss type of DPO.
fn all() -> Vec<PreferenceConfig> {
    let types = [
        "hinge",
        "ipo",
        "nca_pair",
        "bco_pair",
        "sppo_hard",
        "aot",
        "aot_unpaired",
        "apo_zero",
        "apo_down",
        "discopop",
        "sft",
        "sigmoid_norm",
    ];
    let names = PreferenceConfig::NAMES
        .iter()
        .map(|name| format!("{name:?}"));
    let types = types.map(|name| format!("{{ name = \"dpo\", loss_type = {name:?} }}"));
    let more = [
        r#"{ name = "dpo", loss_type = "exo_pair", label_smoothing = 0.01 }"#,
        r#"{ name = "dpo", ld_alpha = 0.25, rpo_alpha = 0.5 }"#,
        r#"{ name = "dpo", f_divergence_type = "forward_kl" }"#,
        r#"{ name = "dpo", f_divergence_type = "js_divergence" }"#,
        r#"{ name = "dpo", f_divergence_type = "alpha_divergence" }"#,
        r#"{ name = "adavip", anchor_weight = 0.5, anchor = 0.25 }"#,
        r#"{ name = "mdpo", visual_negative = "no_image" }"#,
        r#"{ name = "vdpo", guide = "reference" }"#,
        r#"{ name = "opa", anchor = "squared" }"#,
        r#"{ name = "simpo", cpo_alpha = 1.0 }"#,
    ];
    let texts = names.chain(types).chain(more.map(str::to_owned));
    texts.map(|text| read(&text)).collect()
}

fn any_loss() -> impl Strategy<Value = PreferenceConfig> {
    prop::sample::select(all())
}

/// DAMA's β' and V-DPO's picture-less terms carry no gradient by definition, DAMA's and AOT's choices
/// jump.
fn smooth(config: &PreferenceConfig) -> bool {
    let PreferenceConfig::Dpo(dpo) = config else {
        return !matches!(config, PreferenceConfig::Dama(_));
    };
    let jumps = ["aot", "aot_unpaired", "hinge"];
    !dpo.loss_type
        .all()
        .iter()
        .any(|loss_type| jumps.contains(&loss_type.name()))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * b.abs().max(1.0)
}

/// Sum over all tokens of a pair, which is the slope along its weighted log-probability when the
/// weights are 1.
fn slopes(found: &PreferenceLoss, batch: &Batch, kind: Kind, pair: usize) -> f64 {
    let token = batch.responses[&kind].offsets.row(pair).start;
    f64::from(found.gradients[&kind].d_log_prob[token]) * batch.pairs as f64
}

/// Central differences with `step` and half of it, extrapolated: the error grows with the fourth power of `step`, so that
/// a loss as steep as `forward_kl`'s is told apart from a wrong one.
fn derivative(step: f32, at: impl Fn(f32) -> f64) -> f64 {
    let central = |step: f32| (at(step) - at(-step)) / f64::from(2.0 * step);
    (4.0 * central(step / 2.0) - central(step)) / 3.0
}

fn without_weights(mut batch: Batch) -> Batch {
    for owned in batch.responses.values_mut() {
        owned.weight.fill(1.0);
    }
    batch
}

fn log_ratio(batch: &Batch, kind: Kind, pair: usize) -> f64 {
    let owned = &batch.responses[&kind];
    let tokens = owned.offsets.row(pair);
    tokens
        .map(|t| f64::from(owned.log_prob[t]) - f64::from(owned.ref_log_prob[t]))
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn gradients_are_finite_differences(batch in batches(), config in any_loss()) {
        prop_assume!(smooth(&config));
        let found = batch.loss(&config);
        for (kind, gradient) in &found.gradients {
            for token in 0..gradient.d_log_prob.len() {
                let at = |step: f32| {
                    let mut moved = batch.clone();
                    moved.responses.get_mut(kind).unwrap().log_prob[token] += step;
                    moved.loss(&config).loss
                };
                // ORPO's odds have no bound at probability 1: a step that is small beside the log-probability, and
                // exact in f32.
                let log_prob = batch.responses[kind].log_prob[token];
                let expected = derivative(STEP.min(log_prob.abs() / 1024.0), at);
                let slope = f64::from(gradient.d_log_prob[token]);
                let allowed = 1e-5 * expected.abs().max(1.0);
                prop_assert!((slope - expected).abs() < allowed, "{config:?}: {slope} {expected}");
            }
            // CHiP stops the gradient of the chosen response's divergence.
            let stopped = *kind == Kind::Chosen;
            for token in (0..gradient.d_ref_kl.len()).filter(|_| !stopped) {
                let at = |step: f32| {
                    let mut moved = batch.clone();
                    moved.responses.get_mut(kind).unwrap().ref_kl[token] += step;
                    moved.loss(&config).loss
                };
                let expected = derivative(STEP, at);
                prop_assert!((f64::from(gradient.d_ref_kl[token]) - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn margins_of_ten_thousand_leave_everything_finite(batch in batches(), config in any_loss(), signs in prop::collection::vec(any::<bool>(), 8)) {
        let mut batch = batch;
        for (owned, up) in batch.responses.values_mut().zip(signs) {
            let (large, small) = (&mut owned.log_prob, &mut owned.ref_log_prob);
            let (large, small) = if up { (small, large) } else { (large, small) };
            large.fill(-1e4);
            small.fill(0.0);
        }
        let found = batch.loss(&config);
        prop_assert!(found.loss.is_finite(), "{config:?}: {}", found.loss);
        for gradient in found.gradients.values() {
            let slopes = gradient.d_log_prob.iter().chain(&gradient.d_ref_kl);
            prop_assert!(slopes.into_iter().all(|slope| slope.is_finite()), "{config:?}");
        }
        prop_assert!(found.metrics.values().all(|value| value.is_finite()), "{config:?}");
    }

    #[test]
    fn the_order_of_pairs_does_not_matter(batch in batches(), config in any_loss(), seed in any::<u64>()) {
        let mut order: Vec<usize> = (0..batch.pairs).collect();
        order.sort_by_key(|&pair| (seed >> (8 * pair)) & 255);
        let (found, moved) = (batch.loss(&config), batch.select(&order).loss(&config));
        prop_assert!(close(moved.loss, found.loss));
        for (kind, gradient) in &found.gradients {
            let offsets = &batch.responses[kind].offsets;
            let expected = offsets.gather(&order, &gradient.d_log_prob);
            // Which of two equal gains is ranked first is arbitrary, and so is their slope.
            if smooth(&config) {
                prop_assert_eq!(&moved.gradients[kind].d_log_prob, &expected);
            }
        }
        for (name, value) in &found.metrics {
            prop_assert!(close(moved.metrics[name], *value), "{name}");
        }
    }

    #[test]
    fn micro_batches_add_up(batch in batches(), config in any_loss(), cut in 0usize..5) {
        prop_assume!(!config.needs().whole_batch);
        let whole = batch.borrow();
        let totals = PreferenceTotals::of(&whole);
        let state = PreferenceState::default();
        let found = preference_loss(&config, &whole, &state, &totals).unwrap();
        let cut = cut.min(batch.pairs);
        let parts = [(0..cut).collect::<Vec<_>>(), (cut..batch.pairs).collect()];
        let (mut loss, mut metrics, mut counted) = (0.0, BTreeMap::new(), PreferenceTotals::default());
        for pairs in parts {
            let part = batch.select(&pairs);
            counted = counted.with(&PreferenceTotals::of(&part.borrow()));
            let part = preference_loss(&config, &part.borrow(), &state, &totals).unwrap();
            loss += part.loss;
            add_stats(&mut metrics, &part.metrics);
            for (kind, gradient) in &part.gradients {
                let expected = &found.gradients[kind].d_log_prob;
                let expected = batch.responses[kind].offsets.gather(&pairs, expected);
                prop_assert_eq!(&gradient.d_log_prob, &expected);
            }
        }
        prop_assert_eq!(&counted, &totals);
        prop_assert!(close(loss, found.loss));
        for (name, value) in &found.metrics {
            prop_assert!(close(metrics[name], *value), "{name}");
        }
    }

    /// Sums over responses, with their lengths, are as good as tokens.
    #[test]
    fn sums_with_lengths_are_enough(batch in batches(), config in any_loss()) {
        prop_assume!(!config.needs().per_token);
        let batch = without_weights(batch);
        let found = batch.loss(&config);
        let mut sums = batch.clone();
        let lengths: BTreeMap<Kind, Vec<usize>> = batch
            .responses
            .iter()
            .map(|(&kind, owned)| (kind, owned.offsets.lengths().collect()))
            .collect();
        for owned in sums.responses.values_mut() {
            let cuts = owned.offsets.clone();
            let sum = |values: &[f32]| -> Vec<f32> {
                cuts.iter().map(|tokens| values[tokens].iter().sum()).collect()
            };
            (owned.log_prob, owned.ref_log_prob, owned.ref_kl) =
                (sum(&owned.log_prob), sum(&owned.ref_log_prob), sum(&owned.ref_kl));
            owned.offsets = Offsets::from_lengths(vec![1; cuts.rows()]);
            owned.weight = vec![1.0; cuts.rows()];
            owned.phrase = vec![0; cuts.rows()];
        }
        let mut borrowed = sums.borrow();
        for (kind, responses) in &mut borrowed.responses {
            responses.length = Some(&lengths[kind]);
        }
        let totals = PreferenceTotals::of(&borrowed);
        let state = PreferenceState::default();
        let short = preference_loss(&config, &borrowed, &state, &totals).unwrap();
        prop_assert!(close(short.loss, found.loss), "{config:?}");
        for (kind, gradient) in &found.gradients {
            for (pair, tokens) in batch.responses[kind].offsets.iter().enumerate() {
                let (own, whole) = (gradient.d_log_prob[tokens.start], short.gradients[kind].d_log_prob[pair]);
                prop_assert!(close(f64::from(own), f64::from(whole)));
            }
        }
    }

    #[test]
    fn what_is_not_needed_is_not_read(batch in batches(), config in any_loss()) {
        let found = batch.loss(&config);
        let needs: PreferenceNeeds = config.needs();
        let mut bare = batch.borrow();
        bare.responses.retain(|kind, _| needs.kinds.contains_key(kind));
        for (&kind, responses) in &mut bare.responses {
            let needs = needs.of_kind(kind);
            responses.log_prob = responses.log_prob.filter(|_| needs.log_prob);
            responses.ref_log_prob = responses.ref_log_prob.filter(|_| needs.ref_log_prob);
            responses.ref_kl = responses.ref_kl.filter(|_| needs.ref_kl);
            responses.phrase = responses.phrase.filter(|_| needs.phrase);
        }
        bare.clip_gap = bare.clip_gap.filter(|_| needs.clip_gap);
        bare.confidence = bare.confidence.filter(|_| needs.confidence);
        bare.draw = bare.draw.filter(|_| needs.draw);
        let totals = PreferenceTotals::of(&batch.borrow());
        let state = PreferenceState::default();
        let again = preference_loss(&config, &bare, &state, &totals).unwrap();
        prop_assert_eq!(&again, &found);
        for kind in needs.kinds.keys() {
            let mut less = bare.clone();
            less.responses.remove(kind);
            let error = preference_loss(&config, &less, &state, &totals).unwrap_err().to_string();
            prop_assert!(error.contains(kind.name()) && error.contains(config.name()), "{error}");
            let mut less = bare.clone();
            let responses = less.responses.get_mut(kind).unwrap();
            (responses.log_prob, responses.ref_log_prob, responses.ref_kl) = (None, None, None);
            prop_assert!(preference_loss(&config, &less, &state, &totals).is_err());
        }
    }

    #[test]
    fn adavip_takes_from_its_rivals_what_it_gives(batch in batches()) {
        let batch = without_weights(batch);
        let found = batch.loss(&read("\"adavip\""));
        for pair in 0..batch.pairs {
            let [chosen, rejected, visual] = [Kind::Chosen, Kind::Rejected, Kind::ChosenRejectedImage]
                .map(|kind| slopes(&found, &batch, kind, pair));
            prop_assert!((chosen + rejected + visual).abs() < 1e-6);
            let apart = log_ratio(&batch, Kind::ChosenRejectedImage, pair)
                - log_ratio(&batch, Kind::Rejected, pair);
            prop_assert!(close((visual / rejected).ln(), 0.1 * apart));
        }
    }

    #[test]
    fn adavip_with_an_equal_picture_is_dpo_and_moves_nothing_visually(batch in batches()) {
        let mut batch = without_weights(batch);
        let same = batch.responses[&Kind::Chosen].clone();
        batch.responses.insert(Kind::ChosenRejectedImage, same);
        let found = batch.loss(&read("\"adavip\""));
        let mut expected = 0.0;
        for pair in 0..batch.pairs {
            let margin = 0.1 * (log_ratio(&batch, Kind::Chosen, pair) - log_ratio(&batch, Kind::Rejected, pair));
            let moved = margin + 2f64.ln();
            expected += 2f64.ln() + (-moved).exp().ln_1p();
            // Both terms of the visual contrast are one response: its slope is DPO's alone.
            let both = slopes(&found, &batch, Kind::Chosen, pair)
                + slopes(&found, &batch, Kind::ChosenRejectedImage, pair);
            prop_assert!((both + 0.1 / (1.0 + moved.exp())).abs() < 1e-6);
        }
        prop_assert!(close(found.loss, expected / batch.pairs as f64));
    }

    #[test]
    fn adavip_without_a_rejected_picture_is_dpo(batch in batches()) {
        let none = Offsets::from_lengths(vec![0; batch.pairs]);
        let empty = Offsets::from_lengths([]);
        let mut borrowed = batch.borrow();
        let visual = Responses {
            rows: Some(&none),
            log_prob: Some(&[]),
            ref_log_prob: Some(&[]),
            ..Responses::new(&empty)
        };
        borrowed.responses.insert(Kind::ChosenRejectedImage, visual);
        let totals = PreferenceTotals::of(&borrowed);
        let state = PreferenceState::default();
        let found = preference_loss(&read("\"adavip\""), &borrowed, &state, &totals).unwrap();
        let dpo = batch.loss(&read("\"dpo\""));
        prop_assert!(close(found.loss, dpo.loss));
        for kind in [Kind::Chosen, Kind::Rejected] {
            let pairs = found.gradients[&kind].d_log_prob.iter().zip(&dpo.gradients[&kind].d_log_prob);
            for (a, b) in pairs {
                prop_assert!(close(f64::from(*a), f64::from(*b)));
            }
        }
    }

    #[test]
    fn names_and_loss_types_are_the_same_losses(batch in batches()) {
        for (name, same) in [
            (r#""ipo""#, r#"{ name = "dpo", loss_type = "ipo" }"#),
            (r#""robust""#, r#"{ name = "dpo", loss_type = "robust", label_smoothing = 0.1 }"#),
            (r#""sdpo""#, r#""dpo""#),
            (r#"{ name = "vdpo", gamma = 1.0 }"#, r#""dpo""#),
            (r#"{ name = "mdpo", visual_weight = 0.0, anchor_weight = 0.0 }"#, r#""dpo""#),
            (r#"{ name = "chip", use_tok = false, use_cross_modal_loss = false }"#, r#""dpo""#),
            (r#"{ name = "opa", ai_pair_coef = 0.0, copo_coef = 0.0, anchor_coef = 0.0 }"#, r#""dpo""#),
        ] {
            let (found, same) = (batch.loss(&read(name)), batch.loss(&read(same)));
            prop_assert!(close(found.loss, same.loss), "{name}");
        }
    }
}
