//! `generate` and `eval` with two models in step, and `analyze direction`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use common::{SFT, TINY, base, base_model, copy, run_in, write};
use serde_json::Value;
use tempfile::TempDir;

/// A model of another seed.
fn other() -> PathBuf {
    static OTHER: OnceLock<TempDir> = OnceLock::new();
    let folder = OTHER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("recipe.toml"), format!("{TINY}{SFT}"));
        let args = ["train", "recipe.toml", "--quiet", "--set", "trainer.seed=9"];
        run_in(folder.path(), &args).ok();
        folder
    });
    folder.path().join("runs/run/checkpoints/step-000001")
}

fn eval(rest: &[&str]) -> Value {
    let model = base_model().display().to_string();
    let mut args = vec!["eval", "--model", &model, "--digit-sum", "6", "--json"];
    args.extend(["--temperature", "1", "--max-tokens", "12", "-n", "3"]);
    args.extend(["--output", "out"]);
    args.extend(rest);
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), &args).ok();
    let records = fs::read_to_string(folder.path().join("out/records.jsonl")).unwrap();
    records
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["completion"].clone())
        .collect()
}

#[test]
fn extrapolation_by_0_is_plain_decoding_and_by_more_is_not() {
    let other = other().display().to_string();
    let plain = eval(&[]);
    let pair = |rest: &[&str]| eval(&[&["--extrapolate", &other], rest].concat());
    assert_eq!(pair(&["--gamma", "0"]), plain);
    assert_eq!(pair(&["--gamma", "0.7", "--gate", "logp:-inf"]), plain);
    let all = ["--draft", "base", "--gamma", "0", "--candidates", "0"];
    assert_eq!(pair(&all), plain);
    assert_ne!(pair(&["--gamma", "1.5"]), plain);
    assert_ne!(pair(&["--draft", "base", "--gate", "kl:1e9"]), plain);
}

#[test]
fn the_attention_of_the_command_line_is_that_of_both_models() {
    let model = base_model().display().to_string();
    let narrow = [
        "--attention",
        "{ name = \"sliding\", init = 0, window = 16 }",
    ];
    let alone = eval(&narrow);
    assert_ne!(alone, eval(&[]), "the window leaves something out");
    // Twice the same model: 2 log p - log p.
    let pair = ["--extrapolate", &model, "--gamma", "1", "--candidates", "0"];
    assert_eq!(eval(&[&pair[..], &narrow].concat()), alone);
}

#[test]
fn what_cannot_be_decoded_in_step_is_refused() {
    let model = base_model().display().to_string();
    let plain = ["generate", "--model", &model, "hi"];
    for (rest, code, word) in [
        (vec!["--gamma", "1"], 2, "--extrapolate"),
        (
            vec!["--extrapolate", &model, "--gate", "sometimes"],
            2,
            "expected always",
        ),
        (vec!["--extrapolate", &model, "--gamma", "NaN"], 1, "gamma"),
        (vec!["--extrapolate", "/nowhere"], 1, "/nowhere"),
    ] {
        let found = run_in(base(), &[&plain[..], &rest].concat());
        assert_eq!(found.code, Some(code), "{rest:?}: {}", found.stderr);
        assert!(found.stderr.contains(word), "{rest:?}: {}", found.stderr);
    }
    let folder = tempfile::tempdir().unwrap();
    let strange = folder.path().join("strange");
    copy(&base_model(), &strange);
    let path = strange.join("tokenizer.json");
    let text = fs::read_to_string(&path).unwrap();
    let changed = text.replace("\"Multiply\"", "\"Multiplz\"");
    assert_ne!(text, changed, "a word of the tiny vocabulary");
    fs::write(&path, changed).unwrap();
    let strange = strange.display().to_string();
    let found = run_in(base(), &[&plain[..], &["--extrapolate", &strange]].concat());
    assert_eq!(found.code, Some(1));
    assert!(
        found.stderr.contains("in one tokenizer"),
        "{}",
        found.stderr
    );
}

#[test]
fn the_direction_of_training_is_measured_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let (base, tuned) = (other(), base_model());
    let (base, tuned) = (base.display().to_string(), tuned.display().to_string());
    let mut args = vec!["analyze", "direction", "--base", &base, "--tuned", &tuned];
    args.extend(["--digit-sum", "6", "-n", "2", "--max-tokens", "12"]);
    args.extend(["--shares", "0.1,0.5", "--gammas", "0,1", "--output", "out"]);
    let said = run_in(folder.path(), &args).ok();
    assert!(said.stdout.contains("base, Δ log p") && said.stdout.contains("tuned, random"));
    let out = folder.path().join("out");
    let page = fs::read_to_string(out.join("direction.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("<script src") && !page.contains(">NaN"));
    let summary: Value =
        serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["rules"].as_array().unwrap().len(), 10);
    assert_eq!(summary["accuracy"]["tuned"]["n"], 6);
    for name in ["responses.parquet", "replacement.parquet"] {
        assert_eq!(&fs::read(out.join(name)).unwrap()[..4], b"PAR1", "{name}");
    }
}
