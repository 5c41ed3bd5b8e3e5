//! What must hold for every estimator and every loss, whatever its formula.

use crate::batch::{Batch, batches};
use percept_credit::{
    AdvantageConfig, Credit, Error, LossAggMode, LossConfig, Normaliser, PolicyLossConfig, Signals,
    Stats, add_stats, loss, policy_loss, sft_loss,
};
use proptest::prelude::*;

fn estimators() -> Vec<AdvantageConfig> {
    let by_name = |name: &&str| match *name {
        // One reasoning bucket: prompts that are equally hard have no order of their own.
        "durian" => serde_json::json!({ "name": name, "reasoning_buckets": 1 }),
        _ => serde_json::json!(name),
    };
    let configs = AdvantageConfig::NAMES.iter().map(by_name);
    configs
        .map(|config| serde_json::from_value(config).unwrap())
        .collect()
}

fn losses() -> Vec<LossConfig> {
    let policies = [
        PolicyLossConfig::default(),
        PolicyLossConfig::Gspo(loss::Gspo::default()),
        PolicyLossConfig::Cispo(loss::Cispo::default()),
        PolicyLossConfig::Sapo(loss::Sapo::default()),
    ];
    let modes = [
        LossAggMode::TokenMean,
        LossAggMode::SeqMeanTokenSum,
        LossAggMode::SeqMeanTokenMean,
        LossAggMode::SeqMeanTokenSumNorm,
    ];
    let configs = policies.iter().flat_map(|policy| {
        modes.iter().map(|&loss_agg_mode| LossConfig {
            policy_loss: policy.clone(),
            loss_agg_mode: Some(loss_agg_mode),
            loss_scale_factor: Some(16.0),
            use_kl_loss: true,
            kl_coef: 0.04,
            entropy_coeff: 0.01,
            tis_imp_ratio_cap: Some(2.0),
            ..LossConfig::default()
        })
    });
    configs.collect()
}

fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_order_of_rows_and_the_names_of_groups_do_not_matter(
        (batch, order) in batches().prop_flat_map(|batch| {
            let rows: Vec<usize> = (0..batch.offsets.rows()).collect();
            (Just(batch), Just(rows).prop_shuffle())
        }),
    ) {
        for estimator in estimators() {
            let credit = estimator.credit(&batch.signals()).unwrap();
            let mut shuffled = batch.select(&order);
            shuffled.group.iter_mut().for_each(|group| *group = 100 - 7 * *group);
            let found = estimator.credit(&shuffled.signals()).unwrap();
            let expected = credit.select(&batch.offsets, &order);
            prop_assert!(close(&found.advantage, &expected.advantage), "{estimator:?}");
            prop_assert_eq!(found.mask, expected.mask);
        }
    }

    #[test]
    fn an_ungraded_row_changes_nothing(batch in batches()) {
        let graded: Vec<usize> =
            (0..batch.offsets.rows()).filter(|&row| batch.rewards[row].is_some()).collect();
        let without = batch.select(&graded);
        for estimator in estimators() {
            let with_row = estimator.credit(&batch.signals()).unwrap();
            let without_row = estimator.credit(&without.signals()).unwrap();
            let kept = with_row.select(&batch.offsets, &graded);
            prop_assert_eq!(&kept.advantage, &without_row.advantage);
            prop_assert_eq!(&kept.mask, &without_row.mask);

            let total = Normaliser::of(&batch.offsets, &with_row.mask);
            prop_assert_eq!(total, Normaliser::of(&without.offsets, &without_row.mask));
            for config in losses() {
                let a = policy_loss(&config, &batch.signals(), &with_row, &total).unwrap();
                let b = policy_loss(&config, &without.signals(), &without_row, &total).unwrap();
                prop_assert_eq!(a.loss, b.loss);
                prop_assert_eq!(a.metrics, b.metrics);
                prop_assert_eq!(batch.offsets.gather(&graded, &a.d_log_prob), b.d_log_prob);
                for row in (0..batch.offsets.rows()).filter(|row| !graded.contains(row)) {
                    prop_assert!(a.d_log_prob[batch.offsets.row(row)].iter().all(|&d| d == 0.0));
                    prop_assert!(a.d_entropy[batch.offsets.row(row)].iter().all(|&d| d == 0.0));
                }
            }
        }
    }

    #[test]
    fn equal_rewards_give_no_advantage(mut batch in batches(), reward in -3.0f64..3.0) {
        batch.rewards.fill(Some(reward));
        for estimator in estimators() {
            let credit = estimator.credit(&batch.signals()).unwrap();
            prop_assert!(credit.advantage.iter().all(|&a| a == 0.0), "{estimator:?}");
            prop_assert_eq!(credit.stats["reward/frac_zero_std"], 1.0);
        }
    }

    #[test]
    fn group_estimators_do_not_see_a_shift_of_a_group(batch in batches(), shift in -4i32..4) {
        let mut shifted = batch.clone();
        for (reward, group) in shifted.rewards.iter_mut().zip(&batch.group) {
            *reward = reward.map(|value| value + f64::from(shift) * *group as f64);
        }
        for name in ["grpo", "dr_grpo", "rloo", "reinforce_plus_plus_baseline"] {
            let estimator: AdvantageConfig =
                serde_json::from_value(serde_json::json!({ "name": name })).unwrap();
            let a = estimator.credit(&batch.signals()).unwrap();
            let b = estimator.credit(&shifted.signals()).unwrap();
            prop_assert!(close(&a.advantage, &b.advantage), "{name}");
        }
    }

    #[test]
    fn micro_batches_add_up_to_the_batch(batch in batches(), parts in 1usize..4) {
        let credit = AdvantageConfig::default().credit(&batch.signals()).unwrap();
        let total = Normaliser::of(&batch.offsets, &credit.mask);
        for config in losses() {
            let whole = policy_loss(&config, &batch.signals(), &credit, &total).unwrap();
            let (mut loss, mut metrics, mut counted) = (0.0, Stats::new(), Normaliser::default());
            for part in 0..parts {
                let rows: Vec<usize> =
                    (0..batch.offsets.rows()).filter(|row| row % parts == part).collect();
                let micro = batch.select(&rows);
                let share = credit.select(&batch.offsets, &rows);
                let found = policy_loss(&config, &micro.signals(), &share, &total).unwrap();
                prop_assert_eq!(&found.d_log_prob, &batch.offsets.gather(&rows, &whole.d_log_prob));
                prop_assert_eq!(&found.d_entropy, &batch.offsets.gather(&rows, &whole.d_entropy));
                loss += found.loss;
                add_stats(&mut metrics, &found.metrics);
                counted += Normaliser::of(&micro.offsets, &share.mask);
            }
            prop_assert_eq!(counted, total);
            prop_assert!((loss - whole.loss).abs() < 1e-9);
            for (name, value) in &whole.metrics {
                prop_assert!((metrics[name] - value).abs() < 1e-9, "{}", name);
            }
        }
    }

    #[test]
    fn what_a_masked_token_holds_is_never_read(batch in batches()) {
        let credit = AdvantageConfig::default().credit(&batch.signals()).unwrap();
        let total = Normaliser::of(&batch.offsets, &credit.mask);
        let mut poisoned = batch.clone();
        for token in (0..credit.mask.len()).filter(|&token| !credit.mask[token]) {
            for values in poisoned.token_arrays() {
                values[token] = f32::NAN;
            }
        }
        for config in losses() {
            let clean = policy_loss(&config, &batch.signals(), &credit, &total).unwrap();
            let found = policy_loss(&config, &poisoned.signals(), &credit, &total).unwrap();
            prop_assert_eq!(clean, found);
        }
    }

    #[test]
    fn every_aggregation_of_a_constant_is_that_constant_or_its_token_sum(batch in batches()) {
        let total = Normaliser::of(&batch.offsets, &batch.mask);
        let log_prob = vec![-1.0; batch.mask.len()];
        let mean = |mode| sft_loss(mode, &batch.offsets, &log_prob, &batch.mask, None, &total).unwrap().loss;
        prop_assume!(total.tokens > 0);
        prop_assert!((mean(LossAggMode::TokenMean) - 1.0).abs() < 1e-9);
        prop_assert!((mean(LossAggMode::SeqMeanTokenMean) - 1.0).abs() < 1e-9);
        let length = total.tokens as f64 / total.sequences as f64;
        prop_assert!((mean(LossAggMode::SeqMeanTokenSum) - length).abs() < 1e-9);
    }
}

#[test]
fn a_batch_without_a_single_grade_is_no_error_and_no_gradient() {
    let offsets = percept_credit::Offsets::from_lengths([2]);
    let log_prob = [-1.0, -2.0];
    let signals = Signals {
        offsets: &offsets,
        group: &[0],
        rewards: &[None],
        mask: &[true; 2],
        log_prob: &log_prob,
        old_log_prob: &log_prob,
        visual_entropy: Some(&[1.0]),
        ..Signals::default()
    };
    for estimator in estimators() {
        let credit = estimator.credit(&signals).unwrap();
        let total = Normaliser::of(&offsets, &credit.mask);
        let loss = policy_loss(&LossConfig::default(), &signals, &credit, &total).unwrap();
        assert_eq!((loss.loss, loss.d_log_prob), (0.0, vec![0.0; 2]));
        assert_eq!(credit.stats["reward/ungraded"], 1.0);
    }
}

#[test]
fn a_trained_nan_reaches_the_loss() {
    let offsets = percept_credit::Offsets::from_lengths([2]);
    let credit = Credit {
        advantage: vec![1.0; 2],
        mask: vec![true; 2],
        ..Credit::default()
    };
    let signals = Signals {
        offsets: &offsets,
        log_prob: &[f32::NAN, -1.0],
        old_log_prob: &[-1.0; 2],
        rollout_log_prob: Some(&[-1.0; 2]),
        ref_log_prob: Some(&[-1.0; 2]),
        entropy: Some(&[1.0; 2]),
        ..Signals::default()
    };
    let total = Normaliser::of(&offsets, &credit.mask);
    for config in losses() {
        let found = policy_loss(&config, &signals, &credit, &total).unwrap();
        assert!(
            found.loss.is_nan() && found.d_log_prob[0].is_nan(),
            "{config:?}"
        );
    }
}

#[test]
fn a_term_whose_signal_is_missing_is_named() {
    let offsets = percept_credit::Offsets::from_lengths([1]);
    let credit = Credit {
        advantage: vec![1.0],
        mask: vec![true],
        ..Credit::default()
    };
    let signals = Signals {
        offsets: &offsets,
        log_prob: &[-1.0],
        old_log_prob: &[-1.0],
        ..Signals::default()
    };
    let total = Normaliser::of(&offsets, &credit.mask);
    let missing = |config: LossConfig| match policy_loss(&config, &signals, &credit, &total) {
        Err(Error::Missing { field, needed_by }) => (field, needed_by),
        other => panic!("{other:?}"),
    };
    let base = LossConfig::default;
    assert_eq!(
        missing(LossConfig {
            use_kl_loss: true,
            ..base()
        }),
        ("ref_log_prob", "use_kl_loss")
    );
    assert_eq!(
        missing(LossConfig {
            use_kl_loss: true,
            kl_loss_type: percept_credit::KlLossType::Full,
            ..base()
        }),
        ("ref_kl", "kl_loss_type")
    );
    assert_eq!(
        missing(LossConfig {
            entropy_coeff: 0.1,
            ..base()
        }),
        ("entropy", "entropy_coeff")
    );
    assert_eq!(
        missing(LossConfig {
            tis_imp_ratio_cap: Some(2.0),
            ..base()
        }),
        ("rollout_log_prob", "tis_imp_ratio_cap")
    );
}

impl Batch {
    fn token_arrays(&mut self) -> [&mut Vec<f32>; 5] {
        [
            &mut self.log_prob,
            &mut self.old_log_prob,
            &mut self.rollout_log_prob,
            &mut self.ref_log_prob,
            &mut self.entropy,
        ]
    }
}
