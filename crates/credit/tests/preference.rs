//! Each preference loss equals an independent NumPy reading of its formula, and TRL where TRL has it
//! (`golden/preference.json`, made by `tools/preference_reference.py`): ties, margins of 1e4, answers of one
//! token, token weights, any number of negatives. `PREFERENCE_GOLDEN` names a larger file of the same script.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use percept_credit::Offsets;
use percept_credit::preference::{
    Kind, PreferenceBatch, PreferenceConfig, PreferenceLoss, PreferenceState, PreferenceTotals,
    Responses, preference_loss,
};
use serde::Deserialize;

/// Largest error of a loss or metric, relative to `max(1, |expected|)`.
const LOSS_TOLERANCE: f64 = 1e-6;
/// Largest error of a gradient.
const GRADIENT_TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct File {
    data: Vec<Golden>,
}

#[derive(Deserialize)]
struct Golden {
    form: String,
    batch: Batch,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Batch {
    pairs: usize,
    responses: BTreeMap<Kind, Stored>,
    clip_gap: Vec<f32>,
    confidence: Vec<f32>,
    draw: Vec<f64>,
    gap_mean: f64,
}

#[derive(Deserialize)]
struct Stored {
    lengths: Vec<usize>,
    log_prob: Vec<f32>,
    ref_log_prob: Vec<f32>,
    ref_kl: Vec<f32>,
    weight: Option<Vec<f32>>,
    rows: Option<Vec<usize>>,
    phrase: Option<Vec<u32>>,
}

#[derive(Deserialize)]
struct Case {
    config: PreferenceConfig,
    loss: f64,
    gradients: BTreeMap<Kind, Gradient>,
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
    gap_mean: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Gradient {
    d_log_prob: Option<Vec<f64>>,
    d_ref_kl: Option<Vec<f64>>,
}

/// Offsets of each kind, which the batch borrows.
type Cuts = BTreeMap<Kind, (Offsets, Option<Offsets>)>;

fn cuts(batch: &Batch) -> Cuts {
    let offsets = |lengths: &Vec<usize>| Offsets::from_lengths(lengths.iter().copied());
    let responses = batch.responses.iter();
    responses
        .map(|(&kind, r)| (kind, (offsets(&r.lengths), r.rows.as_ref().map(offsets))))
        .collect()
}

fn borrow<'a>(batch: &'a Batch, cuts: &'a Cuts) -> PreferenceBatch<'a> {
    let responses = batch.responses.iter().map(|(kind, stored)| {
        let (offsets, rows) = &cuts[kind];
        let responses = Responses {
            rows: rows.as_ref(),
            log_prob: Some(&stored.log_prob),
            ref_log_prob: Some(&stored.ref_log_prob),
            weight: stored.weight.as_deref(),
            ref_kl: Some(&stored.ref_kl),
            phrase: stored.phrase.as_deref(),
            ..Responses::new(offsets)
        };
        (*kind, responses)
    });
    PreferenceBatch {
        pairs: batch.pairs,
        responses: responses.collect(),
        clip_gap: Some(&batch.clip_gap),
        confidence: Some(&batch.confidence),
        draw: Some(&batch.draw),
    }
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs() / expected.abs().max(1.0);
    assert!(error <= tolerance, "{what}: {found} instead of {expected}");
}

/// An absent expectation is 0 for every token, and so is an absent gradient.
fn same_slopes(what: &str, found: Option<&[f32]>, expected: Option<&[f64]>) {
    let tokens = found
        .map_or(0, <[f32]>::len)
        .max(expected.map_or(0, <[f64]>::len));
    for token in 0..tokens {
        let found = found
            .and_then(|found| found.get(token))
            .copied()
            .unwrap_or(0.0);
        let expected = expected.map_or(0.0, |expected| expected[token]);
        let what = format!("{what}, token {token}");
        close(&what, f64::from(found), expected, GRADIENT_TOLERANCE);
    }
}

fn compare(what: &str, found: &PreferenceLoss, case: &Case) {
    close(what, found.loss, case.loss, LOSS_TOLERANCE);
    for kind in Kind::ALL {
        let what = format!("{what}, {}", kind.name());
        let (own, expected) = (found.gradients.get(kind), case.gradients.get(kind));
        let d_log_prob = expected.and_then(|gradient| gradient.d_log_prob.as_deref());
        same_slopes(
            &what,
            own.map(|gradient| &gradient.d_log_prob[..]),
            d_log_prob,
        );
        let d_ref_kl = expected.and_then(|gradient| gradient.d_ref_kl.as_deref());
        same_slopes(&what, own.map(|gradient| &gradient.d_ref_kl[..]), d_ref_kl);
    }
    for (name, &expected) in &case.metrics {
        let what = format!("{what}, {name}");
        close(
            &what,
            found.metrics[name.as_str()],
            expected,
            LOSS_TOLERANCE,
        );
    }
    if let Some(gap_mean) = case.gap_mean {
        close(what, found.state.gap_mean, gap_mean, LOSS_TOLERANCE);
    }
}

#[test]
fn losses_and_gradients_are_those_of_the_formulas() {
    let text = match std::env::var_os("PREFERENCE_GOLDEN") {
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => include_str!("golden/preference.json").to_owned(),
    };
    let file: File = serde_json::from_str(&text).unwrap();
    let mut seen = BTreeSet::new();
    for golden in &file.data {
        let cuts = cuts(&golden.batch);
        let batch = borrow(&golden.batch, &cuts);
        let state = PreferenceState {
            gap_mean: golden.batch.gap_mean,
        };
        let totals = PreferenceTotals::of(&batch);
        for case in &golden.cases {
            let what = format!("{}: {:?}", golden.form, case.config);
            let found = preference_loss(&case.config, &batch, &state, &totals).unwrap();
            assert!(found.loss.is_finite(), "{what}");
            compare(&what, &found, case);
            seen.insert(case.config.name());
        }
    }
    for name in PreferenceConfig::NAMES {
        assert!(seen.contains(name), "{name} has no golden");
    }
}

#[derive(Debug, PartialEq, serde::Serialize, Deserialize)]
struct Recipe {
    loss: PreferenceConfig,
}

fn read(text: &str) -> Result<PreferenceConfig, String> {
    let recipe = toml::from_str::<Recipe>(&format!("loss = {text}"));
    recipe
        .map(|recipe| recipe.loss)
        .map_err(|error| error.to_string())
}

#[test]
fn a_loss_is_a_name_or_a_table() {
    for name in PreferenceConfig::NAMES {
        let (bare, table) = (format!("{name:?}"), format!("{{ name = {name:?} }}"));
        let loss = read(&bare).unwrap();
        loss.check().unwrap();
        assert_eq!(loss, read(&table).unwrap());
        let printed = toml::to_string(&Recipe { loss }).unwrap();
        assert_eq!(
            toml::from_str::<Recipe>(&printed).unwrap().loss,
            read(&bare).unwrap()
        );
    }
    let mpo = r#"{ name = "dpo", loss_type = ["sigmoid", "bco_pair", "sft"], loss_weights = [0.8, 0.2, 1] }"#;
    read(mpo).unwrap().check().unwrap();
    read(r#"{ name = "dpo", loss_type = "aot_pair" }"#)
        .unwrap()
        .check()
        .unwrap();
}

#[test]
fn what_is_wrong_with_a_loss_is_said() {
    for (text, expected) in [
        (r#""depo""#, "adavip"),
        (r#"{ name = "adavip", gamma = 1.0 }"#, "anchor_weight"),
        (r#"{ name = "dpo", loss_type = "kto_pair" }"#, "bco_pair"),
        (
            r#"{ name = "dpo", loss_type = ["sigmoid", "kto"] }"#,
            "bco_pair",
        ),
        (
            r#"{ name = "dpo", f_divergence_type = "kl" }"#,
            "reverse_kl",
        ),
        (r#"{ name = "mdpo", visual_negative = "crop" }"#, "no_image"),
        (r#"{ name = "vdpo", guide = "student" }"#, "reference"),
        (r#"{ name = "opa", anchor = "below" }"#, "squared"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for (text, field) in [
        (r#"{ name = "dpo", beta = 0.0 }"#, "beta"),
        (r#"{ name = "dpo", beta = nan }"#, "beta"),
        (
            r#"{ name = "dpo", label_smoothing = 0.5 }"#,
            "label_smoothing",
        ),
        (
            r#"{ name = "dpo", loss_type = "exo_pair" }"#,
            "exo_pair needs more than 0",
        ),
        (r#"{ name = "dpo", loss_type = [] }"#, "at least one"),
        (
            r#"{ name = "dpo", loss_type = ["sigmoid", "sft"], loss_weights = [1.0] }"#,
            "loss_weights",
        ),
        (r#"{ name = "dpo", loss_weights = [-1.0] }"#, "loss_weights"),
        (r#"{ name = "dpo", ld_alpha = 1.5 }"#, "ld_alpha"),
        (r#"{ name = "dpo", rpo_alpha = -1.0 }"#, "rpo_alpha"),
        (r#"{ name = "dpo", discopop_tau = 0.0 }"#, "discopop_tau"),
        (
            r#"{ name = "dpo", loss_type = "nca_pair", f_divergence_type = "forward_kl" }"#,
            "nca_pair",
        ),
        (
            r#"{ name = "adavip", anchor_weight = -0.5 }"#,
            "anchor_weight",
        ),
        (r#"{ name = "mdpo", anchor = inf }"#, "anchor"),
        (r#"{ name = "vdpo", gamma = -1.0 }"#, "gamma"),
        (r#"{ name = "opa", copo_coef = -1.0 }"#, "copo_coef"),
        (r#"{ name = "chip", tok_beta = nan }"#, "tok_beta"),
        (r#"{ name = "halva", loss_alpha = -0.1 }"#, "loss_alpha"),
        (r#"{ name = "dama", keep = 0.0 }"#, "keep"),
        (r#"{ name = "dama", momentum = 1.0 }"#, "momentum"),
        (r#"{ name = "simpo", simpo_gamma = inf }"#, "simpo_gamma"),
        (r#"{ name = "orpo", beta = -0.1 }"#, "beta"),
    ] {
        let error = read(text).unwrap().check().unwrap_err().to_string();
        assert!(error.contains(field), "{text}: {error}");
    }
}

#[test]
fn slices_that_do_not_fit_are_named() {
    let (two, one) = (Offsets::from_lengths([2, 1]), Offsets::from_lengths([3]));
    let values = [-1.0f32; 3];
    let full = |offsets| Responses {
        log_prob: Some(&values),
        ref_log_prob: Some(&values),
        ..Responses::new(offsets)
    };
    let refused = |config: &str, rejected: Responses<'_>| {
        let responses = BTreeMap::from([(Kind::Chosen, full(&two)), (Kind::Rejected, rejected)]);
        let batch = PreferenceBatch {
            pairs: 2,
            responses,
            ..PreferenceBatch::default()
        };
        let totals = PreferenceTotals {
            pairs: 4,
            ..PreferenceTotals::default()
        };
        let found = preference_loss(
            &read(config).unwrap(),
            &batch,
            &PreferenceState::default(),
            &totals,
        );
        found.unwrap_err().to_string()
    };
    let dpo = "\"dpo\"";
    assert!(
        refused(dpo, full(&one)).contains("`rejected` has 1 entries, but the batch has 2 pairs")
    );
    let short = Responses {
        log_prob: Some(&values[..2]),
        ..full(&two)
    };
    assert!(refused(dpo, short).contains("`log_prob` has 2 entries, but the batch has 3 tokens"));
    let unequal = Offsets::from_lengths([2, 0]);
    let many = Responses {
        rows: Some(&unequal),
        ..full(&two)
    };
    assert!(refused(dpo, many).contains("1 response in each pair"));
    let aot = r#"{ name = "dpo", loss_type = "aot" }"#;
    assert!(refused(aot, full(&two)).contains("4 pairs, which this loss needs together"));
    let sums = Responses {
        length: Some(&[5, 6]),
        ..full(&two)
    };
    let ld = r#"{ name = "dpo", ld_alpha = 0.5 }"#;
    assert!(refused(ld, sums).contains("single tokens"));
}
