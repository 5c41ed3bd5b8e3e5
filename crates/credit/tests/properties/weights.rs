//! What must hold for every token weight, and what a method is when its options are neutral.

use crate::batch::{Batch, batches};
use percept_credit::{
    Credit, CreditConfig, LossConfig, Normaliser, Offsets, Signals, TokenWeightConfig, policy_loss,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn config(value: Value) -> CreditConfig {
    serde_json::from_value(value).unwrap()
}

/// Credit, weights of the current policy included.
fn credit(config: &CreditConfig, batch: &Batch, experts: &[bool]) -> Credit {
    let mut signals = batch.signals();
    signals.is_expert = Some(experts);
    let credit = config.credit(&signals).unwrap();
    config
        .reweight(&signals, &credit)
        .unwrap()
        .unwrap_or(credit)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn weights_are_finite_and_not_negative(batch in batches(), every in 1usize..4) {
        let experts: Vec<bool> = (0..batch.offsets.rows()).map(|row| row % every == 0).collect();
        for name in TokenWeightConfig::NAMES {
            let found = credit(&config(json!({ "token_weight": [name] })), &batch, &experts);
            prop_assert!(found.weight.iter().all(|w| w.is_finite() && *w >= 0.0), "{name}");
            for (token, trained) in found.mask.iter().enumerate() {
                prop_assert!(*trained || found.advantage[token] == 0.0);
            }
            prop_assert!(found.stats.keys().all(|key| key.starts_with("credit/")
                || key.starts_with("reward/") || key.starts_with("advantage/")));
        }
    }

    #[test]
    fn neutral_options_are_the_base_method_to_the_bit(batch in batches()) {
        let nobody = vec![false; batch.offsets.rows()];
        let base = credit(&CreditConfig::default(), &batch, &nobody);
        let total = Normaliser::of(&batch.offsets, &base.mask);
        let base_loss = policy_loss(&LossConfig::default(), &batch.signals(), &base, &total).unwrap();
        for neutral in [
            json!({ "token_weight": [{ "name": "tor", "alpha_p": 1.0, "alpha_r": 1.0, "gamma_p": 1.0, "gamma_r": 1.0 }] }),
            json!({ "token_weight": [{ "name": "direction", "alpha": 0.0 }] }),
            json!({ "token_weight": [{ "name": "fipo", "clip_ratio": 0.0, "sequence_drop": false }] }),
            json!({ "advantage": { "name": "durian", "a_o": 1.0, "a_p": 0.0, "a_r": 0.0 } }),
            json!({ "advantage": "tgrl", "token_weight": ["tgrl"] }),
        ] {
            let found = credit(&config(neutral.clone()), &batch, &nobody);
            prop_assert_eq!(bits(&found.advantage), bits(&base.advantage), "{}", neutral);
            prop_assert_eq!(&found.mask, &base.mask);
            let loss = policy_loss(&LossConfig::default(), &batch.signals(), &found, &total).unwrap();
            prop_assert_eq!(loss.loss.to_bits(), base_loss.loss.to_bits());
            prop_assert_eq!(bits(&loss.d_log_prob), bits(&base_loss.d_log_prob));
        }
    }

    #[test]
    fn no_result_depends_on_the_number_of_threads(batch in batches()) {
        let nobody = vec![false; batch.offsets.rows()];
        let all = config(json!({ "advantage": "durian", "token_weight": ["tor", "direction", "fipo"] }));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| credit(&all, &batch, &nobody))
        };
        let (one, three) = (run(1), run(3));
        prop_assert_eq!(bits(&one.advantage), bits(&three.advantage));
        prop_assert_eq!(one.stats, three.stats);
    }

    #[test]
    fn a_mean_of_one_is_kept_on_request(batch in batches()) {
        let nobody = vec![false; batch.offsets.rows()];
        let found = credit(&config(json!({ "token_weight": ["direction"], "renormalize_weight": true })), &batch, &nobody);
        // Over the groups that have an advantage: nothing weighs in the others.
        let plain = credit(&CreditConfig::default(), &batch, &nobody);
        let rows = || batch.offsets.iter().zip(&batch.group);
        let taught: std::collections::BTreeSet<usize> = rows()
            .filter(|(range, _)| plain.advantage[range.clone()].iter().any(|&a| a != 0.0))
            .map(|(_, &group)| group)
            .collect();
        let tokens = rows().filter(|(_, group)| taught.contains(group)).flat_map(|(range, _)| range);
        let trained: Vec<f64> = tokens.filter(|&t| found.mask[t]).map(|t| f64::from(found.weight[t])).collect();
        if !trained.is_empty() {
            let mean = trained.iter().sum::<f64>() / trained.len() as f64;
            prop_assert!((mean - 1.0).abs() < 1e-6, "{mean}");
        }
    }
}

#[test]
fn a_weight_that_is_listed_twice_is_refused() {
    let error = config(json!({ "token_weight": ["tor", { "name": "tor" }] })).check();
    assert!(error.unwrap_err().to_string().contains("twice"));
}

#[test]
fn an_unknown_name_is_refused_with_those_that_exist() {
    let error = serde_json::from_value::<CreditConfig>(json!({ "token_weight": ["tro"] }));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("tro") && error.contains("direction"),
        "{error}"
    );
}

/// A batch of many tasks' worth of tokens, no two scores alike: 512 rows of 64 prompts.
fn large() -> Batch {
    let lengths: Vec<usize> = (0..512).map(|row| 1 + row * 37 % 211).collect();
    let offsets = Offsets::from_lengths(lengths.iter().copied());
    let tokens = offsets.tokens();
    assert!(tokens > 3 << 14, "sums must span several tasks: {tokens}");
    // Multiples of an odd number modulo 2^20 differ.
    let distinct = |k: usize| -> Vec<f32> {
        (0..tokens)
            .map(|t| ((t * k + k) % (1 << 20)) as f32 / 262_144.0)
            .collect()
    };
    let negative = |k| distinct(k).iter().map(|x| -x - 1e-6).collect::<Vec<f32>>();
    let old_log_prob = negative(40_503);
    let blind = distinct(92_821);
    Batch {
        group: (0..512).map(|row| row / 8).collect(),
        rewards: (0..512)
            .map(|row| (row % 11 > 0).then(|| f64::from(row % 3 == 0)))
            .collect(),
        mask: (0..tokens).map(|t| t % 13 != 5).collect(),
        log_prob: negative(40_505),
        log_prob_no_image: old_log_prob
            .iter()
            .zip(&blind)
            .map(|(x, d)| x - d)
            .collect(),
        rollout_log_prob: old_log_prob.clone(),
        ref_log_prob: negative(33_331),
        entropy: distinct(77_773),
        nucleus_entropy: distinct(65_537),
        advantage: vec![0.0; tokens],
        visual_entropy: (0..512)
            .map(|row| ((row / 8) * 37 % 64) as f64 / 9.0)
            .collect(),
        old_log_prob,
        offsets,
    }
}

const ALL: [&str; 4] = ["tor", "direction", "tgrl", "fipo"];

#[test]
fn no_bit_depends_on_the_number_of_threads_when_there_is_work_for_many() {
    let batch = large();
    let experts: Vec<bool> = (0..512).map(|row| row % 8 == 0).collect();
    for advantage in ["grpo", "durian", "tgrl", "reinforce_plus_plus"] {
        let all = config(
            json!({ "advantage": advantage, "token_weight": ALL, "renormalize_weight": true }),
        );
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let found = credit(&all, &batch, &experts);
                let total = Normaliser::of(&batch.offsets, &found.mask);
                let signals = Signals {
                    is_expert: Some(&experts),
                    ..batch.signals()
                };
                let loss = policy_loss(&LossConfig::default(), &signals, &found, &total).unwrap();
                (found, loss)
            })
        };
        let one = run(1);
        for threads in [2, 5] {
            let more = run(threads);
            assert_eq!(
                bits(&one.0.advantage),
                bits(&more.0.advantage),
                "{advantage}"
            );
            assert_eq!(bits(&one.0.weight), bits(&more.0.weight), "{advantage}");
            assert_eq!((&one.0.mask, &one.0.stats), (&more.0.mask, &more.0.stats));
            assert_eq!(one.1.loss.to_bits(), more.1.loss.to_bits(), "{advantage}");
            assert_eq!(bits(&one.1.d_log_prob), bits(&more.1.d_log_prob));
        }
    }
}

#[test]
fn the_order_of_groups_does_not_matter_to_weights() {
    let batch = large();
    let experts: Vec<bool> = (0..512).map(|row| row % 8 == 0).collect();
    // Whole groups, in another order.
    let order: Vec<usize> = (0..64)
        .flat_map(|g| (0..8).map(move |i| (g * 27 + 5) % 64 * 8 + i))
        .collect();
    let shuffled = batch.select(&order);
    let experts_shuffled: Vec<bool> = order.iter().map(|&row| experts[row]).collect();
    for advantage in ["durian", "tgrl"] {
        for names in [&ALL[..1], &ALL[1..2], &ALL[2..3], &ALL[3..], &ALL[..]] {
            let all = config(json!({ "advantage": advantage, "token_weight": names }));
            let expected = credit(&all, &batch, &experts).select(&batch.offsets, &order);
            let found = credit(&all, &shuffled, &experts_shuffled);
            assert_eq!(bits(&found.weight), bits(&expected.weight), "{names:?}");
            assert_eq!(found.mask, expected.mask);
            for (a, b) in found.advantage.iter().zip(&expected.advantage) {
                assert!(
                    (a - b).abs() <= 1e-6 * b.abs().max(1.0),
                    "{names:?}: {a} instead of {b}"
                );
            }
        }
    }
}

/// What TGRL is when its parts are taken away.
#[test]
fn expert_rows_are_supervised_learning_weighted_by_the_advantage() {
    let offsets = Offsets::from_lengths([3, 2, 4]);
    let log_prob = [-0.5, -1.0, -0.2, -2.0, -0.1, -3.0, -0.4, -0.7, -1.3];
    let experts = [false, false, true];
    let signals = |rewards| Signals {
        offsets: &offsets,
        group: &[0; 3],
        rewards,
        mask: &[true; 9],
        log_prob: &log_prob,
        old_log_prob: &log_prob,
        is_expert: Some(&experts),
        ..Signals::default()
    };
    let tgrl = config(json!({ "advantage": { "name": "tgrl", "stats": "on_policy" } }));
    let plain: LossConfig =
        serde_json::from_value(json!({ "expert": { "shaping": "log_prob" } })).unwrap();

    // Nobody but the expert is right: it stands out by its full reward, the others have no signal.
    let rewards = [Some(0.0), Some(0.0), Some(1.0)];
    let found = tgrl.credit(&signals(&rewards)).unwrap();
    assert_eq!(
        found.advantage,
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    );
    let total = Normaliser::of(&offsets, &found.mask);
    let loss = policy_loss(&plain, &signals(&rewards), &found, &total).unwrap();
    let supervised: f64 = log_prob[5..].iter().map(|x| -f64::from(*x)).sum::<f64>() / 9.0;
    assert!((loss.loss - supervised).abs() < 1e-9);
    assert!(
        loss.d_log_prob[5..]
            .iter()
            .all(|d| (d + 1.0 / 9.0).abs() < 1e-7)
    );

    // An expert that is no better than the policy teaches nothing.
    let rewards = [Some(1.0), Some(1.0), Some(1.0)];
    let found = tgrl.credit(&signals(&rewards)).unwrap();
    let loss = policy_loss(&LossConfig::default(), &signals(&rewards), &found, &total).unwrap();
    assert!(loss.d_log_prob.iter().all(|d| *d == 0.0));
}

#[test]
fn a_token_that_tor_leaves_out_has_no_gradient() {
    let batch = large();
    let found = credit(
        &config(json!({ "token_weight": ["tor"] })),
        &batch,
        &[false; 512],
    );
    let total = Normaliser::of(&batch.offsets, &found.mask);
    let loss = policy_loss(&LossConfig::default(), &batch.signals(), &found, &total).unwrap();
    let out: Vec<usize> = (0..found.mask.len())
        .filter(|&t| found.mask[t] && found.weight[t] == 0.0)
        .collect();
    assert!(out.len() > total.tokens / 4);
    assert!(out.iter().all(|&t| loss.d_log_prob[t] == 0.0));
}
