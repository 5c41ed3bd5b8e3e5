//! Each method equals an independent NumPy reading of its formula (`golden/methods.json`, made by
//! `tools/credit_reference.py`), on ragged batches that are often degenerate: all rewards equal,
//! one-token responses, a single sample, ungraded rows, no image, experts, ratios beyond every clip.
//! The same script compares 1,000 more batches through the Python wheel.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use percept_credit::{
    Credit, CreditConfig, ExpertCandidate, LossConfig, Normaliser, Offsets, Signals, TgrlFilter,
    policy_loss,
};
use serde::Deserialize;

/// Largest error allowed, relative to `max(1, |expected|)`: references are float64, inputs and
/// results float32.
const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct File {
    data: Goldens,
}

#[derive(Deserialize)]
struct Goldens {
    batches: Vec<Golden>,
    filter: Vec<FilterCase>,
}

#[derive(Deserialize)]
struct Golden {
    kind: String,
    batch: Batch,
    credit: Vec<CreditCase>,
    reweight: Vec<CreditCase>,
    given: Expected,
    loss: Vec<LossCase>,
}

#[derive(Deserialize)]
struct Batch {
    lengths: Vec<usize>,
    group: Vec<usize>,
    reward: Vec<Option<f64>>,
    mask: Vec<u8>,
    is_expert: Vec<u8>,
    visual_entropy: Vec<Option<f64>>,
    log_prob: Vec<f32>,
    old_log_prob: Vec<f32>,
    entropy: Vec<f32>,
    nucleus_entropy: Vec<f32>,
    log_prob_no_image: Vec<Option<f32>>,
}

#[derive(Deserialize)]
struct CreditCase {
    config: CreditConfig,
    #[serde(flatten)]
    expected: Expected,
}

#[derive(Deserialize)]
struct Expected {
    advantage: Vec<f64>,
    weight: Vec<f64>,
    mask: Vec<u8>,
}

#[derive(Deserialize)]
struct LossCase {
    config: LossConfig,
    loss: f64,
    d_log_prob: Vec<f64>,
}

#[derive(Deserialize)]
struct FilterCase {
    candidates: Vec<(usize, bool, f64, f64, usize)>,
    accuracy: Vec<f64>,
    options: TgrlFilter,
    chosen: Vec<Vec<usize>>,
}

/// The arrays of a batch whose missing numbers are NaN again.
struct Ready {
    offsets: Offsets,
    mask: Vec<bool>,
    is_expert: Vec<bool>,
    visual_entropy: Vec<f64>,
    log_prob_no_image: Vec<f32>,
}

impl Ready {
    fn new(batch: &Batch) -> Self {
        let blind = batch.log_prob_no_image.iter();
        let sight = batch.visual_entropy.iter();
        Self {
            offsets: Offsets::from_lengths(batch.lengths.iter().copied()),
            mask: bits(&batch.mask),
            is_expert: bits(&batch.is_expert),
            visual_entropy: sight.map(|value| value.unwrap_or(f64::NAN)).collect(),
            log_prob_no_image: blind.map(|value| value.unwrap_or(f32::NAN)).collect(),
        }
    }

    fn signals<'a>(&'a self, batch: &'a Batch) -> Signals<'a> {
        Signals {
            offsets: &self.offsets,
            group: &batch.group,
            rewards: &batch.reward,
            mask: &self.mask,
            log_prob: &batch.log_prob,
            old_log_prob: &batch.old_log_prob,
            entropy: Some(&batch.entropy),
            nucleus_entropy: Some(&batch.nucleus_entropy),
            log_prob_no_image: Some(&self.log_prob_no_image),
            visual_entropy: Some(&self.visual_entropy),
            is_expert: Some(&self.is_expert),
            ..Signals::default()
        }
    }
}

fn bits(mask: &[u8]) -> Vec<bool> {
    mask.iter().map(|&bit| bit != 0).collect()
}

fn close(what: &str, found: impl IntoIterator<Item = f64>, expected: &[f64]) {
    let found: Vec<f64> = found.into_iter().collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (token, (a, b)) in found.iter().zip(expected).enumerate() {
        let error = (a - b).abs() / b.abs().max(1.0);
        assert!(
            error <= TOLERANCE,
            "{what}, token {token}: {a} instead of {b}"
        );
    }
}

fn widen(values: &[f32]) -> impl Iterator<Item = f64> + '_ {
    values.iter().map(|&value| f64::from(value))
}

fn compare(what: &str, found: &Credit, expected: &Expected) {
    assert_eq!(found.mask, bits(&expected.mask), "{what}: mask");
    close(
        &format!("{what}: advantage"),
        widen(&found.advantage),
        &expected.advantage,
    );
    // The weight of a token that is not trained means nothing.
    let weights = found.weight.iter().zip(&found.mask);
    let trained = weights.filter(|(_, m)| **m).map(|(w, _)| f64::from(*w));
    let expected: Vec<f64> = expected
        .weight
        .iter()
        .zip(&found.mask)
        .filter(|(_, m)| **m)
        .map(|(w, _)| *w)
        .collect();
    close(&format!("{what}: weight"), trained, &expected);
}

fn goldens() -> Goldens {
    let file: File = serde_json::from_str(include_str!("golden/methods.json")).unwrap();
    file.data
}

#[test]
fn credit_is_that_of_the_formulas() {
    let mut seen = BTreeSet::new();
    for golden in goldens().batches {
        let ready = Ready::new(&golden.batch);
        let signals = ready.signals(&golden.batch);
        for case in &golden.credit {
            let what = format!("{}: {:?}", golden.kind, case.config);
            let found = case.config.credit(&signals).unwrap();
            compare(&what, &found, &case.expected);
            seen.insert(case.config.advantage.name());
            seen.extend(case.config.token_weight.iter().map(|weight| weight.name()));
        }
    }
    for name in ["durian", "tgrl", "tor", "direction"] {
        assert!(seen.contains(name), "{name} has no golden");
    }
}

#[test]
fn weights_of_the_current_policy_are_those_of_the_formulas() {
    let mut cases = 0;
    for golden in goldens().batches {
        let ready = Ready::new(&golden.batch);
        let signals = ready.signals(&golden.batch);
        for case in &golden.reweight {
            let what = format!("{}: {:?}", golden.kind, case.config);
            let credit = case.config.credit(&signals).unwrap();
            let found = case.config.reweight(&signals, &credit).unwrap().unwrap();
            // The weight of the update alone: what came before is in both.
            let own = found.weight.iter().zip(&credit.weight);
            let found = Credit {
                weight: own
                    .map(|(all, before)| if *before == 0.0 { 1.0 } else { all / before })
                    .collect(),
                ..found
            };
            compare(&what, &found, &case.expected);
            cases += 1;
        }
    }
    assert!(cases > 20, "{cases}");
}

#[test]
fn losses_are_those_of_the_formulas() {
    for golden in goldens().batches {
        let ready = Ready::new(&golden.batch);
        let signals = ready.signals(&golden.batch);
        let credit = Credit {
            advantage: golden.given.advantage.iter().map(|&a| a as f32).collect(),
            mask: bits(&golden.given.mask),
            ..Credit::default()
        };
        let total = Normaliser::of(&ready.offsets, &credit.mask);
        for case in &golden.loss {
            let what = format!("{}: {:?}", golden.kind, case.config);
            let found = policy_loss(&case.config, &signals, &credit, &total).unwrap();
            close(&what, [found.loss], &[case.loss]);
            close(&what, widen(&found.d_log_prob), &case.d_log_prob);
        }
    }
}

#[test]
fn experts_enter_as_the_filter_says() {
    for case in goldens().filter {
        let candidate =
            |&(prompt, right, grounding, nll, tokens): &(usize, bool, f64, f64, usize)| {
                ExpertCandidate {
                    prompt,
                    right,
                    grounding,
                    nll,
                    tokens,
                }
            };
        let pool: Vec<ExpertCandidate> = case.candidates.iter().map(candidate).collect();
        assert_eq!(case.options.select(&pool, &case.accuracy), case.chosen);
    }
}
