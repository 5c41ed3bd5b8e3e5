//! The gradients that percept returns are the derivatives of the loss that it returns.

use crate::batch::{Batch, STEP, batches};
use percept_credit::{
    Credit, LossAggMode, LossConfig, Normaliser, PolicyLossConfig, Signals, loss, policy_loss,
    sft_loss,
};
use proptest::prelude::*;

const MODES: [LossAggMode; 4] = [
    LossAggMode::TokenMean,
    LossAggMode::SeqMeanTokenSum,
    LossAggMode::SeqMeanTokenMean,
    LossAggMode::SeqMeanTokenSumNorm,
];

fn everything(mode: LossAggMode, kl_loss_type: loss::KlLossType) -> LossConfig {
    LossConfig {
        loss_agg_mode: Some(mode),
        loss_scale_factor: Some(8.0),
        use_kl_loss: true,
        kl_coef: 0.5,
        kl_loss_type,
        entropy_coeff: 0.25,
        tis_imp_ratio_cap: Some(1.5),
        ..LossConfig::default()
    }
}

fn given(batch: &Batch) -> (Credit, Normaliser) {
    let credit = Credit {
        advantage: batch.advantage.clone(),
        mask: batch.mask.clone(),
        ..Credit::default()
    };
    let total = Normaliser::of(&batch.offsets, &credit.mask);
    (credit, total)
}

fn value(config: &LossConfig, batch: &Batch) -> f64 {
    let (credit, total) = given(batch);
    policy_loss(config, &batch.signals(), &credit, &total)
        .unwrap()
        .loss
}

/// Central difference of `loss` in one token of the array that `field` picks.
fn slope(
    batch: &Batch,
    token: usize,
    field: impl Fn(&mut Batch) -> &mut Vec<f32>,
    loss: impl Fn(&Batch) -> f64,
) -> f64 {
    let at = |step: f32| {
        let mut moved = batch.clone();
        field(&mut moved)[token] += step;
        loss(&moved)
    };
    (at(STEP) - at(-STEP)) / f64::from(2.0 * STEP)
}

/// Whether a kink of the loss (a clip) lies within a step of the token.
fn near_a_kink(batch: &Batch, token: usize) -> bool {
    let log_ratio = f64::from(batch.log_prob[token] - batch.old_log_prob[token]);
    let step = 1.5 * f64::from(STEP);
    [0.8f64, 1.2, 3.0]
        .iter()
        .any(|bound| (log_ratio - bound.ln()).abs() < step)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn of_ppo_with_every_term_are_finite_differences(
        batch in batches(),
        mode in prop::sample::select(&MODES[..]),
        kind in prop::sample::select(&[loss::KlLossType::K1, loss::KlLossType::K2, loss::KlLossType::K3][..]),
    ) {
        let config = everything(mode, kind);
        let (credit, total) = given(&batch);
        let found = policy_loss(&config, &batch.signals(), &credit, &total).unwrap();
        for token in 0..batch.mask.len() {
            if !near_a_kink(&batch, token) {
                let expected = slope(&batch, token, |b| &mut b.log_prob, |b| value(&config, b));
                prop_assert!((f64::from(found.d_log_prob[token]) - expected).abs() < 2e-6);
            }
        }
    }

    #[test]
    fn of_the_entropy_are_finite_differences(batch in batches(), mode in prop::sample::select(&MODES[..])) {
        let config = everything(mode, loss::KlLossType::K3);
        let (credit, total) = given(&batch);
        let found = policy_loss(&config, &batch.signals(), &credit, &total).unwrap();
        for token in 0..batch.mask.len() {
            let expected = slope(&batch, token, |b| &mut b.entropy, |b| value(&config, b));
            prop_assert!((f64::from(found.d_entropy[token]) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn of_the_whole_divergence_are_finite_differences(batch in batches(), mode in prop::sample::select(&MODES[..])) {
        let config = everything(mode, loss::KlLossType::Full);
        let (credit, total) = given(&batch);
        let loss = |b: &Batch| {
            let signals = Signals { ref_log_prob: None, ref_kl: Some(&b.ref_log_prob), ..b.signals() };
            policy_loss(&config, &signals, &credit, &total).unwrap()
        };
        let found = loss(&batch);
        for token in 0..batch.mask.len() {
            let expected = slope(&batch, token, |b| &mut b.ref_log_prob, |b| loss(b).loss);
            prop_assert!((f64::from(found.d_kl[token]) - expected).abs() < 1e-6);
        }
        // Without the term, the rest is the same.
        let without = LossConfig { use_kl_loss: false, ..config.clone() };
        let without = policy_loss(&without, &batch.signals(), &credit, &total).unwrap();
        prop_assert_eq!(&found.d_log_prob, &without.d_log_prob);
        prop_assert!(without.d_kl.iter().all(|&slope| slope == 0.0));
    }

    /// CISPO's weight carries no gradient: its loss is linear in the log-probability once the weight is
    /// frozen, which is what moving `old_log_prob` along does.
    #[test]
    fn of_cispo_are_those_of_the_frozen_weight(batch in batches()) {
        let policy_loss_config = PolicyLossConfig::Cispo(loss::Cispo::default());
        let config = LossConfig { policy_loss: policy_loss_config, ..LossConfig::default() };
        let (credit, total) = given(&batch);
        let found = policy_loss(&config, &batch.signals(), &credit, &total).unwrap();
        for token in 0..batch.mask.len() {
            let frozen = |moved: &Batch| {
                let mut moved = moved.clone();
                moved.old_log_prob[token] += moved.log_prob[token] - batch.log_prob[token];
                value(&config, &moved)
            };
            let expected = slope(&batch, token, |b| &mut b.log_prob, frozen);
            prop_assert!((f64::from(found.d_log_prob[token]) - expected).abs() < 2e-6);
        }
    }

    #[test]
    fn of_sapo_are_finite_differences(batch in batches(), tau_pos in 0.5f64..2.0) {
        let sapo = loss::Sapo { tau_pos, ..loss::Sapo::default() };
        let config = LossConfig { policy_loss: PolicyLossConfig::Sapo(sapo), ..LossConfig::default() };
        let (credit, total) = given(&batch);
        let found = policy_loss(&config, &batch.signals(), &credit, &total).unwrap();
        for token in 0..batch.mask.len() {
            let expected = slope(&batch, token, |b| &mut b.log_prob, |b| value(&config, b));
            prop_assert!((f64::from(found.d_log_prob[token]) - expected).abs() < 1e-5);
        }
    }

    #[test]
    fn of_expert_rows_are_finite_differences(batch in batches()) {
        let config = LossConfig::default();
        let (credit, total) = given(&batch);
        let experts = vec![true; batch.offsets.rows()];
        let of_experts = |batch: &Batch| {
            let mut signals = batch.signals();
            signals.is_expert = Some(&experts);
            policy_loss(&config, &signals, &credit, &total).unwrap()
        };
        let found = of_experts(&batch);
        for token in 0..batch.mask.len() {
            let expected = slope(&batch, token, |b| &mut b.log_prob, |b| of_experts(b).loss);
            prop_assert!((f64::from(found.d_log_prob[token]) - expected).abs() < 1e-5);
        }
    }

    /// The token form of GSPO has the gradient of the sequence form when a response has one advantage
    /// and sequences are averaged as in the paper.
    #[test]
    fn of_gspo_are_those_of_the_sequence_ratio(mut batch in batches(), positive in any::<bool>()) {
        // No clip: its kinks are at the ratio of a whole row. The clip itself is compared with verl.
        let wide = loss::Gspo { clip_ratio_low: 1.0, clip_ratio_high: 1e6 };
        let config = LossConfig {
            policy_loss: PolicyLossConfig::Gspo(wide),
            loss_agg_mode: Some(LossAggMode::SeqMeanTokenMean),
            ..LossConfig::default()
        };
        batch.advantage.fill(if positive { 1.5 } else { -0.5 });
        let (credit, total) = given(&batch);
        let found = policy_loss(&config, &batch.signals(), &credit, &total).unwrap();
        for token in 0..batch.mask.len() {
            let expected = slope(&batch, token, |b| &mut b.log_prob, |b| value(&config, b));
            prop_assert!((f64::from(found.d_log_prob[token]) - expected).abs() < 2e-6);
        }
    }

    #[test]
    fn of_the_supervised_loss_are_finite_differences(
        batch in batches(),
        mode in prop::sample::select(&MODES[..3]),
        weighted in any::<bool>(),
    ) {
        let weights: Vec<f32> = (0..batch.offsets.rows()).map(|row| 0.5 + row as f32).collect();
        let weights = weighted.then_some(&weights[..]);
        let total = Normaliser::of(&batch.offsets, &batch.mask);
        let at = |b: &Batch| sft_loss(mode, &b.offsets, &b.log_prob, &b.mask, weights, &total).unwrap();
        let found = at(&batch);
        for token in 0..batch.mask.len() {
            let expected = slope(&batch, token, |b| &mut b.log_prob, |b| at(b).loss);
            prop_assert!((f64::from(found.d_log_prob[token]) - expected).abs() < 2e-6);
        }
    }
}
