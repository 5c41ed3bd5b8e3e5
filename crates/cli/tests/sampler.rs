//! Options of the sampler in a run: what bounds its memory changes no weight, what rounds its weights is measured.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;

use common::{TINY, run_in, snapshot, write};
use serde_json::Value;

const STAGES: &str = r#"
[rl]
steps = 3
train_batch_size = 4
ppo_mini_batch_size = 4
optim = { lr = 1e-3 }
[[reward.functions]]
name = "length"
unit = "characters"
max_length = 60
"#;

/// A run of a few steps; its metrics by step and what it said.
fn train(folder: &Path, more: &[&str]) -> (Vec<Value>, String) {
    let recipe = TINY
        .replace("max_completion_length = 4", "max_completion_length = 50")
        .replace("num_generations = 2", "num_generations = 4");
    write(&folder.join("recipe.toml"), recipe + STAGES);
    let mut args = vec!["train", "recipe.toml"];
    for set in more {
        args.extend(["--set", set]);
    }
    let said = run_in(folder, &args).ok().stderr;
    let metrics = std::fs::read_to_string(folder.join("runs/run/metrics.jsonl")).unwrap();
    let steps = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (steps, said)
}

fn number(step: &Value, name: &str) -> f64 {
    step[name]
        .as_f64()
        .unwrap_or_else(|| panic!("no {name} in {step}"))
}

/// Weights and rollouts, byte for byte.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let run = folder.join("runs/run");
    let files = snapshot(&run).into_iter();
    let files = files.map(|(path, bytes)| {
        let name = path.strip_prefix(&run).unwrap().display().to_string();
        (name, bytes)
    });
    let found: Vec<_> = files
        .filter(|(name, _)| name.ends_with(".safetensors") || name.ends_with(".parquet"))
        .collect();
    assert!(found.len() >= 2, "{found:?}");
    found
}

#[test]
fn a_run_under_a_tight_bound_on_memory_has_the_bytes_of_one_without() {
    let [free, tight, apart] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (unbound, _) = train(free.path(), &[]);
    // A block of keys and values takes 2 KiB here: a dozen, where the batch would take over a hundred.
    let bound = 12 * 2048;
    let set = format!("rollout.kv_cache_memory_bytes={bound}");
    let (bounded, _) = train(tight.path(), &[&set]);
    let (alone, _) = train(apart.path(), &["rollout.enable_prefix_caching=false"]);
    assert!(number(&unbound[0], "rollout/kv_cache_bytes") > 4.0 * bound as f64);
    for (step, free) in bounded.iter().zip(&unbound) {
        assert!(number(step, "rollout/num_preemptions") > 0.0);
        assert!(number(step, "rollout/kv_cache_bytes") <= bound as f64);
        assert_eq!(number(free, "rollout/num_preemptions"), 0.0);
    }
    for step in &alone {
        assert_eq!(number(step, "rollout/prefix_cache_hit_rate"), 0.0);
    }
    assert!(content(free.path()) == content(tight.path()));
    assert!(content(free.path()) == content(apart.path()));
}

#[test]
fn what_eight_bits_change_is_measured_and_corrected() {
    let [exact, rounded] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let corrected = [
        "rl.old_log_prob=recompute",
        "algorithm.loss.tis_imp_ratio_cap=2.0",
    ];
    let (f32, said) = train(exact.path(), &corrected);
    let gap = "training/rollout_probs_diff_mean";
    assert!(number(&f32[0], gap) < 1e-5);
    assert!(!said.contains("mismatch"), "{said}");
    let mut int8 = corrected.to_vec();
    int8.push("rollout.dtype=int8");
    let (int8, said) = train(rounded.path(), &int8);
    for step in &int8 {
        let gap = number(step, gap);
        assert!(gap > 1e-5 && gap < 0.02, "{gap}");
        let weight = number(step, "actor/tis_weight");
        assert!(weight != 1.0 && (0.8..1.2).contains(&weight), "{weight}");
    }
    // A random model is nearly indifferent: its probabilities may be too close to each other to be spoken of.
    let spoken_of = int8.iter().any(|step| number(step, gap) >= 5e-5);
    assert_eq!(said.contains("mismatch"), spoken_of, "{said}");
}
