//! A run that is killed and goes on ends with the bytes of one that was never interrupted.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{TINY, percept, run_in, snapshot, write};
use image::{Rgb, RgbImage};
use serde_json::Value;

/// Both stages, two mini-batches, dynamic sampling that moves the row position by itself.
const STAGES: &str = r#"
[eval]
test_freq = 2
[sft]
steps = 4
train_batch_size = 4
ppo_max_token_len = 200
optim = { lr = 3e-3, lr_scheduler_type = "cosine", lr_warmup_steps = 2 }
[rl]
steps = 5
train_batch_size = 4
ppo_mini_batch_size = 2
ppo_max_token_len = 300
optim = { lr = 1e-3, lr_warmup_steps = 2 }
[[algorithm.filter]]
name = "dapo"
max_num_gen_batches = 2
[[reward.functions]]
name = "length"
unit = "characters"
max_length = 40
[[reward.functions]]
name = "accuracy"
"#;

fn recipe(extra: &str) -> String {
    let longer = TINY
        .replace("max_completion_length = 4", "max_completion_length = 12")
        .replace("num_generations = 2", "num_generations = 4")
        .replace(
            "output_dir = \"runs\"",
            "output_dir = \"runs\"\nsave_freq = 2",
        );
    format!("{longer}{STAGES}{extra}")
}

fn start(folder: &Path, more: &[&str]) -> Child {
    let mut args = vec!["train", "recipe.toml", "--quiet"];
    args.extend(more);
    let mut command = percept(&args);
    command.current_dir(folder).stdout(Stdio::null());
    command.spawn().unwrap()
}

/// What a run leaves, without what depends on the clock.
fn content(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for (path, bytes) in snapshot(run) {
        let name = path.strip_prefix(run).unwrap().to_str().unwrap().to_owned();
        let timeless = match name.as_str() {
            "report.html" | "summary.json" | ".lock" => continue,
            name if name.starts_with("tensorboard/") => continue,
            "metrics.jsonl" => lines_without_time(&bytes),
            name if name.ends_with("state.json") => without_time(&bytes),
            _ => bytes,
        };
        all.insert(name, timeless);
    }
    all
}

fn lines_without_time(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    lines.flat_map(without_time).collect()
}

fn without_time(json: &[u8]) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(json).unwrap();
    drop_times(&mut value);
    value.to_string().into_bytes()
}

fn drop_times(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| {
                !([
                    "time",
                    "seconds",
                    "perf/throughput",
                    "perf/gen_tokens_per_s",
                ]
                .contains(&key.as_str())
                    || key.starts_with("timing_s/"))
            });
            map.values_mut().for_each(drop_times);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_times),
        _ => {}
    }
}

fn assert_same(whole: &Path, resumed: &Path, what: &str) {
    let [whole, resumed] = [whole, resumed].map(content);
    let names = |all: &BTreeMap<String, Vec<u8>>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&whole), names(&resumed), "{what}");
    for (name, bytes) in &whole {
        assert!(bytes == &resumed[name], "{what}: {name} differs");
    }
    assert!(
        whole
            .keys()
            .any(|name| name.ends_with("optimizer.safetensors"))
    );
    assert!(whole.keys().any(|name| name.starts_with("rollouts/")));
}

/// Kills at these parts of the time that the whole run takes.
fn check(name: &str, extra: &str, moments: &[f64]) {
    check_in(tempfile::tempdir().unwrap().path(), name, extra, moments);
}

/// The same in a folder that holds what the recipe reads.
fn check_in(folder: &Path, name: &str, extra: &str, moments: &[f64]) {
    let [whole, killed] = ["whole", "killed"].map(|n| folder.join(n));
    for place in [&whole, &killed] {
        write(&place.join("recipe.toml"), recipe(extra));
    }
    let clock = Instant::now();
    run_in(&whole, &["train", "recipe.toml", "--quiet"]).ok();
    let took = clock.elapsed();
    for &moment in moments {
        let mut child = start(&killed, &["--resume"]);
        std::thread::sleep(took.mul_f64(moment));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    run_in(&killed, &["train", "recipe.toml", "--quiet", "--resume"]).ok();
    let run = |place: &Path| place.join("runs/run");
    assert_same(&run(&whole), &run(&killed), name);
}

#[test]
fn killed_runs_end_with_the_same_bytes() {
    check("plain", "", &[0.5, 0.3, 0.4]);
}

#[test]
fn killed_runs_with_a_reference_end_with_the_same_bytes() {
    let kl = "[algorithm.loss]\nuse_kl_loss = true\nkl_coef = 0.1\n";
    check("reference", kl, &[0.7, 0.1, 0.4]);
}

// C1: the reference of adapters is kept in the run.
#[test]
fn killed_runs_with_adapters_and_a_reference_end_with_the_same_bytes() {
    let kl = "[model.lora]\nr = 4\n[algorithm.loss]\nuse_kl_loss = true\nkl_coef = 0.1\n";
    check("adapters and reference", kl, &[0.7, 0.1, 0.4]);
}

#[test]
fn killed_runs_with_dropout_end_with_the_same_bytes() {
    let lora = "[model.lora]\nr = 4\nlora_dropout = 0.3\n";
    check("dropout", lora, &[0.3, 0.5, 0.6]);
}

#[test]
fn killed_runs_with_every_signal_end_with_the_same_bytes() {
    let methods = r#"
[[algorithm.filter]]
name = "tgrl"
p_gate = 1.0
g_min_quantile = 0.0
[[algorithm.token_weight]]
name = "tor"
[[algorithm.token_weight]]
name = "tgrl"
[[algorithm.token_weight]]
name = "fipo"
[algorithm.advantage]
name = "durian"
"#;
    check("signals", methods, &[0.4, 0.4, 0.4]);
}

/// Rows of TRL with pictures and rejected pictures.
fn write_pairs(folder: &Path, rows: u32) {
    let mut lines = String::new();
    for row in 0..rows {
        for (name, shift) in [("a", 0), ("b", 97)] {
            let level = |x: u32, y: u32| ((x * 7 + y * 31 + row * 53 + shift) % 251) as u8;
            let picture = RgbImage::from_fn(28, 28, |x, y| Rgb([level(x, y), level(y, x), 90]));
            let path = folder.join(format!("{row}{name}.png"));
            picture.save(path).unwrap();
        }
        let pair = serde_json::json!({
            "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is the sum?"}]}],
            "chosen": [{"role": "assistant", "content": format!("The sum is {row}.")}],
            "rejected": [{"role": "assistant", "content": "The sum is 1 + 2."}],
            "images": [format!("{row}a.png")],
            "rejected_images": [format!("{row}b.png")],
        });
        lines.push_str(&format!("{pair}\n"));
    }
    write(&folder.join("pairs.jsonl"), lines);
}

/// While the reference is asked, within the stage, at its end; three epochs of nine pairs.
#[test]
fn killed_preference_runs_end_with_the_same_bytes() {
    for (loss, precompute) in [("adavip", true), ("dama", true), ("chip", false)] {
        let folder = tempfile::tempdir().unwrap();
        write_pairs(folder.path(), 9);
        if loss == "dama" {
            let path = folder.path().join("pairs.jsonl");
            let rows = fs::read_to_string(&path).unwrap();
            write(
                &path,
                rows.replace("{\"prompt\"", "{\"clip_gap\": 0.05, \"prompt\""),
            );
        }
        let stage = format!(
            "[dpo]\nsteps = 9\ntrain_batch_size = 3\nppo_max_token_len = 400\ntrain_files = [\"../pairs.jsonl\"]\n\
             optim = {{ lr = 1e-3 }}\n[preference]\nloss = \"{loss}\"\nprecompute_ref_log_probs = {precompute}\n"
        );
        check_in(folder.path(), loss, &stage, &[0.35, 0.4, 0.45, 0.3]);
    }
}

#[test]
fn dropout_is_on_in_training() {
    let folder = tempfile::tempdir().unwrap();
    let losses = ["0.0", "0.5"].map(|rate| {
        let place = folder.path().join(rate);
        let lora = format!("[model.lora]\nr = 4\nlora_dropout = {rate}\n");
        write(&place.join("recipe.toml"), recipe(&lora));
        run_in(&place, &["train", "recipe.toml", "--quiet"]).ok();
        fs::read_to_string(place.join("runs/run/metrics.jsonl")).unwrap()
    });
    let [without, with] = losses.map(|text| {
        let rows: Vec<Value> = text
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        rows.iter()
            .filter_map(|row| row["train/loss"].as_f64())
            .collect::<Vec<f64>>()
    });
    // B is zero at first: dropout shows from the second step on.
    assert_eq!(without[0], with[0]);
    assert_ne!(without[1..], with[1..]);
}

#[test]
fn an_interrupt_writes_a_checkpoint_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("recipe.toml"), recipe(""));
    let mut child = start(folder.path(), &["--set", "sft.steps=100000"]);
    let run = folder.path().join("runs/run");
    let lines =
        || fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |text| text.lines().count());
    let clock = Instant::now();
    while lines() < 5 {
        assert!(
            clock.elapsed() < Duration::from_secs(60),
            "no step in a minute"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let done = lines();
    let checkpoint = run.join(format!("checkpoints/step-{done:06}"));
    assert!(
        checkpoint.join("model.safetensors").exists(),
        "no checkpoint of step {done}"
    );
    let steps = format!("sft.steps={}", done + 2);
    run_in(
        folder.path(),
        &[
            "train",
            "recipe.toml",
            "--quiet",
            "--resume",
            "--set",
            &steps,
        ],
    )
    .ok();
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let steps: Vec<u64> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["step"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert!(
        steps.iter().copied().eq(1..=steps.len() as u64),
        "{steps:?}"
    );
    assert_eq!(steps.len(), done + 2 + 5);
}

#[test]
fn a_token_budget_ends_the_run_after_the_step_that_spends_it() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("recipe.toml"), recipe(""));
    let tokens = |name: &str, more: &[&str]| -> Vec<u64> {
        let place = format!("trainer.experiment_name={name}");
        let set = [&["--set", place.as_str(), "--set", "sft.steps=0"], more].concat();
        assert!(start(folder.path(), &set).wait().unwrap().success());
        let checkpoints = folder.path().join("runs").join(name).join("checkpoints");
        let newest = fs::read_dir(checkpoints)
            .unwrap()
            .map(|e| e.unwrap().path())
            .max();
        let state = fs::read(newest.unwrap().join("percept/state.json")).unwrap();
        let summary: Value = serde_json::from_slice(&state).unwrap();
        let evaluations = summary["evaluations"].as_array().unwrap();
        evaluations
            .iter()
            .map(|e| e["tokens"].as_u64().unwrap())
            .collect()
    };
    let whole = tokens("whole", &[]);
    let (middle, end) = (whole[whole.len() - 2], whole[whole.len() - 1]);
    let budget = format!("trainer.max_tokens={}", middle - 1);
    let cut = tokens("cut", &["--set", &budget]);
    assert!(
        cut[cut.len() - 1] >= middle - 1 && cut[cut.len() - 1] < end,
        "{whole:?} {cut:?}"
    );
}
