//! Advantages, losses and gradients equal those of verl and TRL (`golden/*.json`, made by
//! `tools/credit_goldens.py` and, for SAPO, `tools/credit_sapo_goldens.py`, which state versions and method; references
//! in float64).
#![allow(clippy::unwrap_used)]

use percept_credit::{
    AdvantageConfig, Credit, LossConfig, Normaliser, Offsets, OverlongConfig, PolicyLossConfig,
    Signals, policy_loss,
};
use serde::{Deserialize, de::DeserializeOwned};

/// Relative error allowed: the references are float64, percept returns float32 arrays.
const TOLERANCE: f64 = 1e-6;
/// Absolute error allowed beside it: verl adds 1e-8 to some of its denominators.
const FLOOR: f64 = 2e-8;

#[derive(Deserialize)]
struct Golden<T> {
    data: T,
}

#[derive(Deserialize)]
struct LossGolden {
    batch: Batch,
    cases: Vec<LossCase>,
}

#[derive(Deserialize)]
struct Batch {
    lengths: Vec<usize>,
    mask: Vec<u8>,
    log_prob: Vec<f32>,
    old_log_prob: Vec<f32>,
    rollout_log_prob: Vec<f32>,
    ref_log_prob: Vec<f32>,
    entropy: Vec<f32>,
    advantage: Vec<f32>,
}

#[derive(Deserialize)]
struct LossCase {
    reference: String,
    config: LossConfig,
    loss: f64,
    d_log_prob: Vec<f64>,
    d_entropy: Vec<f64>,
    metrics: std::collections::BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct AdvantageGolden {
    rewards: Vec<Option<f64>>,
    group: Vec<usize>,
    lengths: Vec<usize>,
    mask: Vec<u8>,
    cases: Vec<AdvantageCase>,
}

#[derive(Deserialize)]
struct AdvantageCase {
    reference: String,
    config: AdvantageConfig,
    advantage: Vec<f64>,
}

#[derive(Deserialize)]
struct OverlongGolden {
    max_completion_length: usize,
    buffer_len: usize,
    lengths: Vec<usize>,
    penalty: Vec<f64>,
}

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str::<Golden<T>>(text).unwrap().data
}

fn bits(mask: &[u8]) -> Vec<bool> {
    mask.iter().map(|&bit| bit == 1).collect()
}

#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64) {
    let allowed = TOLERANCE * expected.abs() + FLOOR;
    assert!(
        (found - expected).abs() <= allowed,
        "{what}: {found} instead of {expected}"
    );
}

#[track_caller]
fn assert_all_close(what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (token, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert_close(&format!("{what}[{token}]"), f64::from(found), expected);
    }
}

#[test]
fn policy_losses_and_gradients_are_those_of_verl_and_trl() {
    let mut goldens: Vec<LossGolden> = read(include_str!("golden/losses.json"));
    goldens.extend(read::<Vec<LossGolden>>(include_str!("golden/sapo.json")));
    let mut compared = 0;
    for LossGolden { batch, cases } in &goldens {
        let offsets = Offsets::from_lengths(batch.lengths.iter().copied());
        let credit = Credit {
            advantage: batch.advantage.clone(),
            mask: bits(&batch.mask),
            ..Credit::default()
        };
        let signals = Signals {
            offsets: &offsets,
            log_prob: &batch.log_prob,
            old_log_prob: &batch.old_log_prob,
            rollout_log_prob: Some(&batch.rollout_log_prob),
            ref_log_prob: Some(&batch.ref_log_prob),
            entropy: Some(&batch.entropy),
            ..Signals::default()
        };
        let total = Normaliser::of(&offsets, &credit.mask);
        for case in cases {
            let what = format!("{} {:?}", case.reference, case.config);
            let found = policy_loss(&case.config, &signals, &credit, &total).unwrap();
            assert_close(&what, found.loss, case.loss);
            assert_all_close(
                &format!("{what} d_log_prob"),
                &found.d_log_prob,
                &case.d_log_prob,
            );
            assert_all_close(
                &format!("{what} d_entropy"),
                &found.d_entropy,
                &case.d_entropy,
            );
            for (name, &expected) in &case.metrics {
                assert_close(
                    &format!("{what} {name}"),
                    found.metrics[name.as_str()],
                    expected,
                );
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 51 + 12, "the golden files are complete");
    let named: Vec<_> = goldens.iter().flat_map(|g| &g.cases).collect();
    for name in PolicyLossConfig::NAMES {
        for peer in ["verl", "trl"] {
            let covered = |case: &&LossCase| {
                case.reference.starts_with(peer) && case.config.policy_loss.name() == *name
            };
            assert!(named.iter().any(covered), "{name} has no golden of {peer}");
        }
    }
}

#[test]
fn advantages_are_those_of_verl_and_trl() {
    let goldens: Vec<AdvantageGolden> = read(include_str!("golden/advantages.json"));
    for golden in &goldens {
        let offsets = Offsets::from_lengths(golden.lengths.iter().copied());
        let mask = bits(&golden.mask);
        let signals = Signals {
            offsets: &offsets,
            group: &golden.group,
            rewards: &golden.rewards,
            mask: &mask,
            ..Signals::default()
        };
        for case in &golden.cases {
            let credit = case.config.credit(&signals).unwrap();
            let what = format!("{} {:?}", case.reference, case.config);
            assert_all_close(&what, &credit.advantage, &case.advantage);
        }
    }
    let names: std::collections::BTreeSet<_> = goldens
        .iter()
        .flat_map(|golden| &golden.cases)
        .map(|case| case.config.name())
        .collect();
    assert!(
        AdvantageConfig::NAMES
            .iter()
            // In neither framework; `methods.rs` compares them with a NumPy reading.
            .filter(|name| !["durian", "tgrl"].contains(name))
            .all(|name| names.contains(name)),
        "every estimator has a golden"
    );
}

#[test]
fn the_overlong_penalty_is_that_of_trl() {
    let golden: OverlongGolden = read(include_str!("golden/overlong.json"));
    let config = OverlongConfig {
        buffer_len: golden.buffer_len,
        ..OverlongConfig::default()
    };
    for (&length, &expected) in golden.lengths.iter().zip(&golden.penalty) {
        let found = config.penalty(length, golden.max_completion_length);
        assert_close(&format!("length {length}"), found, expected);
    }
}
