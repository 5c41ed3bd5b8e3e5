//! What a run trains on, divides by and says: the same rollouts give the same numbers, however they are
//! cut; what is switched off is not silently there.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;

use common::{TINY, run_in, write};
use percept_report::{RolloutRecord, read_rollouts};
use serde_json::Value;

/// The smallest model on groups of four.
fn recipe(rest: &str) -> String {
    let longer = TINY
        .replace("max_completion_length = 4", "max_completion_length = 12")
        .replace("num_generations = 2", "num_generations = 4");
    format!("{longer}{rest}")
}

/// Two rewards that tell responses apart: none of an untrained model is right.
const REWARDS: &str = r#"
[[reward.functions]]
name = "accuracy"
[[reward.functions]]
name = "length"
unit = "characters"
max_length = 40
"#;

/// Runs a recipe; its steps, and what it said.
fn train(folder: &Path, recipe: &str, more: &[&str]) -> (Vec<Value>, String) {
    write(&folder.join("recipe.toml"), recipe);
    let _ = fs::remove_dir_all(folder.join("runs"));
    let said = run_in(folder, &[&["train", "recipe.toml"], more].concat()).ok();
    let text = fs::read_to_string(folder.join("runs/run/metrics.jsonl")).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (rows.collect(), format!("{}{}", said.stdout, said.stderr))
}

fn number(row: &Value, name: &str) -> f64 {
    row[name]
        .as_f64()
        .unwrap_or_else(|| panic!("{name}: {row}"))
}

fn rollouts(folder: &Path, step: usize) -> Vec<RolloutRecord> {
    read_rollouts(&folder.join(format!("runs/run/rollouts/step-{step:06}.parquet"))).unwrap()
}

// C1
#[test]
fn the_first_step_of_rl_after_sft_with_adapters_has_no_divergence() {
    let folder = tempfile::tempdir().unwrap();
    let stages = format!(
        "[model.lora]\nr = 4\n[sft]\nsteps = 20\ntrain_batch_size = 8\noptim = {{ lr = 2e-2 }}\n\
         [rl]\nsteps = 2\ntrain_batch_size = 4\noptim = {{ lr = 1e-2 }}\n\
         [algorithm.loss]\nuse_kl_loss = true\nkl_coef = 0.1\n{REWARDS}"
    );
    let (steps, _) = train(folder.path(), &recipe(&stages), &[]);
    let rl: Vec<&Value> = steps.iter().filter(|row| row["stage"] == "rl").collect();
    assert!(number(rl[0], "actor/kl_loss") < 1e-6, "{}", rl[0]);
    assert!(number(rl[1], "actor/kl_loss") > 1e-6, "{}", rl[1]);
    let reference = folder
        .path()
        .join("runs/run/reference/adapter_model.safetensors");
    assert!(reference.exists());
}

// C2
#[test]
fn the_size_of_a_mini_batch_changes_no_metric_of_the_same_rollouts() {
    let folder = tempfile::tempdir().unwrap();
    let steps = [8, 4, 2, 1].map(|size| {
        // Nothing moves, so that all mini-batches see the same policy.
        let stages = format!(
            "[rl]\nsteps = 1\ntrain_batch_size = 8\nppo_mini_batch_size = {size}\nppo_max_token_len = 200\n\
             ppo_epochs = 2\noptim = {{ lr = 0.0 }}\n[[algorithm.token_weight]]\nname = \"fipo\"\n{REWARDS}"
        );
        train(folder.path(), &recipe(&stages), &[]).0.swap_remove(0)
    });
    let names: Vec<&String> = steps[0]
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| name.starts_with("actor/") || name.starts_with("credit/"))
        // Of an update, not of the rollouts.
        .filter(|name| !["actor/grad_norm"].contains(&name.as_str()))
        .collect();
    assert!(names.iter().any(|name| *name == "actor/entropy"));
    assert!(names.iter().any(|name| *name == "credit/fipo/weight/max"));
    for name in names {
        let found = steps.each_ref().map(|step| number(step, name));
        for value in found {
            assert!((value - found[0]).abs() < 1e-5, "{name}: {found:?}");
        }
    }
}

// C3, C4
#[test]
fn dynamic_sampling_looks_at_accuracy_and_the_metrics_at_all_that_was_sampled() {
    let folder = tempfile::tempdir().unwrap();
    let stages = |metric: &str| {
        format!(
            "[rl]\nsteps = 1\ntrain_batch_size = 4\n[[algorithm.filter]]\nname = \"dapo\"\n\
             max_num_gen_batches = 2\n{metric}{REWARDS}"
        )
    };
    // Nobody is right: by accuracy no group stays, whatever the lengths.
    let (steps, said) = train(folder.path(), &recipe(&stages("")), &[]);
    assert_eq!(number(&steps[0], "train/trained_groups"), 0.0);
    assert_eq!(number(&steps[0], "train/sampled_groups"), 8.0);
    assert_eq!(number(&steps[0], "reward/accuracy/mean"), 0.0);
    assert!(number(&steps[0], "response_length/mean") > 0.0);
    // C9: and it is said.
    assert!(said.contains("learned nothing from rewards"), "{said}");
    assert!(
        said.contains("metric \"acc\"") && said.contains('8'),
        "{said}"
    );
    let all = number(&steps[0], "reward/length/mean");

    let (steps, said) = train(
        folder.path(),
        &recipe(&stages("metric = \"seq_reward\"\n")),
        &[],
    );
    assert!(number(&steps[0], "train/trained_groups") > 0.0);
    assert!(!said.contains("learned nothing"), "{said}");
    let first = number(&steps[0], "reward/length/mean");
    if number(&steps[0], "train/num_gen_batches") == 2.0 {
        assert_eq!(first, all, "the same sixteen responses");
    }
    // What was sampled is described apart from what is trained on.
    let kept = rollouts(folder.path(), 1);
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let rewards = mean(kept.iter().map(|r| r.reward.unwrap()).collect());
    assert!((number(&steps[0], "train/rewards/mean") - rewards).abs() < 1e-9);
    let lengths = mean(kept.iter().map(|r| r.tokens.len() as f64).collect());
    assert!((number(&steps[0], "train/response_length/mean") - lengths).abs() < 1e-9);
    assert_eq!(number(&steps[0], "train/reward/frac_zero_std"), 0.0);

    let wrong = recipe(&stages("metric = \"accuracies\"\n"));
    write(&folder.path().join("wrong.toml"), wrong);
    let refused = run_in(folder.path(), &["train", "wrong.toml"]);
    assert_eq!(refused.code, Some(1));
    for word in ["metric is \"accuracies\"", "acc, score", "accuracy, length"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
}

// C8, C9
#[test]
fn several_experts_enter_a_group_are_marked_and_their_share_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let row = |i: usize| {
        format!(
            "{{\"prompt\": \"What is the sum of the digits?\", \"answer\": \"{i}\", \"expert\": \
             [\"\\\\boxed{{{i}}}\", \"<think>3</think> \\\\boxed{{{i}}}\", \"\\\\boxed{{9{i}}}\"]}}\n"
        )
    };
    write(
        &folder.path().join("rows.jsonl"),
        (1..9).map(row).collect::<String>(),
    );
    let stages = |n: usize| {
        format!(
            "[rl]\nsteps = 1\ntrain_batch_size = 4\n[algorithm]\nadvantage = \"tgrl\"\n\
             [[algorithm.filter]]\nname = \"tgrl\"\nn_expert = {n}\ng_min_quantile = 0.0\n\
             nll_max_quantile = 1.0\n[[reward.functions]]\nname = \"accuracy\"\n"
        )
    };
    let text = |n: usize| {
        let files = "[data]\ntrain_files = [\"rows.jsonl\"]\n";
        let (start, rest) = TINY.split_once("[data.digit_sum]").unwrap();
        let (_, rollout) = rest.split_once("[rollout]").unwrap();
        let rollout = rollout
            .replace("max_completion_length = 4", "max_completion_length = 40")
            .replace("num_generations = 2", "num_generations = 4");
        format!("{start}{files}[rollout]{rollout}{}", stages(n))
    };
    for (n, expected) in [(1, 1), (2, 2), (3, 2)] {
        let (steps, _) = train(folder.path(), &text(n), &[]);
        let found = rollouts(folder.path(), 1);
        assert_eq!(found.len(), 16);
        for group in found.chunks(4) {
            let experts: Vec<&RolloutRecord> = group.iter().filter(|r| r.is_expert).collect();
            assert_eq!(experts.len(), expected, "n_expert = {n}");
            for expert in experts {
                let answer = expert.answer.as_ref().unwrap();
                assert!(expert.completion.ends_with(&format!("\\boxed{{{answer}}}")));
            }
        }
        let share = number(&steps[0], "actor/expert_grad_share");
        assert!(share > 0.0 && share < 1.0, "{share}");
    }
    write(&folder.path().join("all.toml"), text(4));
    let refused = run_in(folder.path(), &["train", "all.toml"]);
    assert!(
        refused.stderr.contains("n_expert is 4"),
        "{}",
        refused.stderr
    );
}

// C12
#[test]
fn a_small_batch_needs_no_mini_batch() {
    let folder = tempfile::tempdir().unwrap();
    let stages = format!("[rl]\nsteps = 1\ntrain_batch_size = 4\n{REWARDS}");
    train(folder.path(), &recipe(&stages), &[]);
    let whole = fs::read_to_string(folder.path().join("runs/run/recipe.toml")).unwrap();
    assert!(whole.contains("ppo_mini_batch_size = 4"), "{whole}");
    let refused = run_in(
        folder.path(),
        &["train", "recipe.toml", "--set", "rl.ppo_mini_batch_size=8"],
    );
    assert!(
        refused
            .stderr
            .contains("is 8, larger than rl.train_batch_size (4)"),
        "{}",
        refused.stderr
    );
}
