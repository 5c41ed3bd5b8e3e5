//! What must hold for every token weight, and what a method is when its options are neutral.

use crate::batch::{Batch, batches};
use percept_credit::{
    Credit, CreditConfig, LossConfig, Normaliser, TokenWeightConfig, policy_loss,
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
        let trained: Vec<f64> = found.weight.iter().zip(&found.mask).filter(|(_, m)| **m).map(|(w, _)| f64::from(*w)).collect();
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
