//! Silence is a fault: what is wrong with a run is said on its terminal and in its folder, and `--strict` ends it.
//! (C10, C11, M2, M3, "two processes", "few descriptors".)
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{RL, SFT, TINY, percept, run, run_in, write};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a recipe and files.
fn folder(recipe: &str, files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("recipe.toml"), recipe);
    for (name, text) in files {
        write(&folder.path().join(name), text);
    }
    folder
}

/// Reinforcement learning with a Python reward.
fn python_recipe(steps: usize) -> String {
    format!(
        "{TINY}[rl]\nsteps = {steps}\ntrain_batch_size = 2\nppo_mini_batch_size = 2\n[[reward.functions]]\nname = \
         \"python\"\npath = \"reward.py\"\n"
    )
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn kinds(run: &Path) -> Vec<String> {
    let kind = |line: &Value| line["kind"].as_str().unwrap().to_owned();
    lines(&run.join("warnings.jsonl"))
        .iter()
        .map(kind)
        .collect()
}

fn checkpoints(run: &Path) -> Vec<String> {
    let entries = fs::read_dir(run.join("checkpoints")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_reward_that_always_fails_ends_the_run_with_its_traceback() {
    let reward = "import helper\ndef reward_func(completions, **kwargs):\n    return helper.score(completions)\n";
    let helper = "def score(completions):\n    raise RuntimeError('the judge has no licence')\n";
    // A run that would go on for long, and one that is over before patience is.
    for steps in [50, 1] {
        let recipe = python_recipe(steps);
        let place = folder(&recipe, &[("reward.py", reward), ("helper.py", helper)]);
        let outcome = run_in(place.path(), &["train", "recipe.toml"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        for word in [
            "Traceback",
            "helper.py\", line 2",
            "RuntimeError: the judge has no licence",
            "(helper.py:2, in score)",
        ] {
            assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
        }
        let error = outcome.stderr.split("error: ").last().unwrap();
        assert!(
            error.contains("no reward") && error.contains("Traceback"),
            "{error}"
        );
        let run = place.path().join("runs/run");
        assert!(
            kinds(&run).contains(&"ungraded".to_owned()),
            "{:?}",
            kinds(&run)
        );
        assert!(run.join("report.html").exists());
        let metrics = lines(&run.join("metrics.jsonl"));
        assert!(metrics.len() <= 3, "{} steps on nothing", metrics.len());
    }
}

#[test]
fn rewards_that_are_all_equal_are_said_once_and_end_a_strict_run_without_loss() {
    let reward = "def reward_func(completions, **kwargs):\n    return [0.5] * len(completions)\n";
    let place = folder(&python_recipe(8), &[("reward.py", reward)]);
    let strict = run_in(place.path(), &["train", "recipe.toml", "--strict"]);
    assert_eq!(strict.code, Some(1), "{}", strict.stderr);
    assert!(
        strict.stderr.contains("because of --strict"),
        "{}",
        strict.stderr
    );
    assert!(
        strict.stderr.contains("go on from it with --resume"),
        "{}",
        strict.stderr
    );
    let run = place.path().join("runs/run");
    // All four tokens of a response are its limit: that is what is said first.
    assert_eq!(kinds(&run), ["cut_off"]);
    let done = lines(&run.join("metrics.jsonl")).len();
    assert_eq!(checkpoints(&run), [format!("step-{done:06}")]);

    let outcome = run_in(place.path(), &["train", "recipe.toml", "--resume"]).ok();
    let said = outcome.stderr.matches("nothing is learned").count();
    assert_eq!(said, 1, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("mean reward 0.500"),
        "{}",
        outcome.stderr
    );
    assert_eq!(kinds(&run), ["cut_off", "nothing_learned"]);
    let summary: Value =
        serde_json::from_slice(&fs::read(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["warnings"].as_array().unwrap().len(), 2);
    assert_eq!(lines(&run.join("metrics.jsonl")).len(), 8);
}

/// A recipe on a file of rows; `good` of them can be used, `bad` name a picture that is not there.
fn rows_recipe(good: usize, bad: usize, stage: &str) -> (String, String) {
    let data = TINY.find("[data.digit_sum]").unwrap();
    let rest = TINY.find("[rollout]").unwrap();
    let recipe = format!(
        "{}[data]\ntrain_files = [\"rows.jsonl\"]\n{}{stage}",
        &TINY[..data],
        &TINY[rest..]
    );
    let mut rows = String::new();
    for row in 0..good {
        rows += &format!(
            "{{\"prompt\": \"What is the sum of the digits? {row}\", \"answer\": \"7\", \"completion\": \"7\"}}\n"
        );
    }
    for row in 0..bad {
        rows += &format!(
            "{{\"prompt\": \"What is this?\", \"image\": \"missing-{row}.png\", \"answer\": \"7\", \"completion\": \"7\"}}\n"
        );
    }
    (recipe, rows)
}

#[test]
fn skipped_rows_are_counted_and_named_and_a_batch_larger_than_the_data_is_no_fault() {
    // 17 usable rows of 20, and batches of 64: each batch meets the same rows four times.
    let sft = "[sft]\nsteps = 2\ntrain_batch_size = 64\n";
    let rl = "[rl]\nsteps = 1\ntrain_batch_size = 64\nppo_mini_batch_size = 64\n";
    for stage in [sft, rl] {
        let (recipe, rows) = rows_recipe(17, 3, stage);
        let place = folder(&recipe, &[("rows.jsonl", &rows)]);
        let outcome = run_in(place.path(), &["train", "recipe.toml"]).ok();
        for word in [
            "3 of the 20 rows",
            "3 × ",
            "rows.jsonl:",
            "missing-",
            "data check",
        ] {
            assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
        }
        assert_eq!(outcome.stderr.matches("rows read so far").count(), 1);
        let run = place.path().join("runs/run");
        assert!(kinds(&run).contains(&"skipped_rows".to_owned()));
        let strict = run_in(
            place.path(),
            &["train", "recipe.toml", "--overwrite", "--strict"],
        );
        assert_eq!(strict.code, Some(1), "{}", strict.stderr);
        assert_eq!(checkpoints(&run), ["step-000001"]);
    }
}

#[test]
fn a_data_set_without_a_usable_row_says_so_with_the_right_number() {
    for stage in [SFT, RL] {
        let (recipe, rows) = rows_recipe(0, 20, stage);
        let place = folder(&recipe, &[("rows.jsonl", &rows)]);
        let outcome = run_in(place.path(), &["train", "recipe.toml"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        for word in ["none of the 20 rows", "20 × ", "rows.jsonl:"] {
            assert!(outcome.stderr.contains(word), "{word}: {}", outcome.stderr);
        }
    }
}

/// M2: the good checkpoint was pruned while updates were not finite, and weights of infinity were saved.
#[test]
fn a_learning_rate_of_1e30_stops_with_the_reason_and_keeps_the_good_checkpoint() {
    let stage = "[sft]\nsteps = 2\ntrain_batch_size = 2\n";
    let recipe = TINY.replace(
        "output_dir",
        "save_freq = 1\nmax_ckpt_to_keep = 1\noutput_dir",
    );
    let place = folder(&format!("{recipe}{stage}"), &[]);
    run_in(place.path(), &["train", "recipe.toml", "--quiet"]).ok();
    let run = place.path().join("runs/run");
    assert_eq!(checkpoints(&run), ["step-000002"]);
    let model = fs::read(run.join("checkpoints/step-000002/model.safetensors")).unwrap();
    for frequency in [1, 0] {
        for rate in ["1e30", "3e37"] {
            let frequency = format!("trainer.save_freq={frequency}");
            let rate = format!("sft.optim.lr={rate}");
            let diverged = run_in(
                place.path(),
                &[
                    "train",
                    "recipe.toml",
                    "--resume",
                    "--set",
                    &rate,
                    "--set",
                    "sft.steps=12",
                    "--set",
                    &frequency,
                ],
            );
            assert_eq!(diverged.code, Some(1), "{}", diverged.stderr);
            for word in ["learning rate", "step-000002 is good", "--resume"] {
                assert!(
                    diverged.stderr.contains(word),
                    "{word}: {}",
                    diverged.stderr
                );
            }
            assert_eq!(checkpoints(&run), ["step-000002"], "{}", diverged.stderr);
        }
    }
    let kept = fs::read(run.join("checkpoints/step-000002/model.safetensors")).unwrap();
    assert!(kept == model);
    run_in(
        place.path(),
        &[
            "train",
            "recipe.toml",
            "--quiet",
            "--resume",
            "--set",
            "sft.steps=3",
        ],
    )
    .ok();
}

/// M3: a verifier that spins survived every way to end its trainer.
#[test]
fn a_spinning_verifier_ends_with_its_trainer() {
    let reward = "import os, subprocess\nopen('pids', 'a').write(f'{os.getpid()}\\n')\nchild = subprocess.Popen(['sleep', '300'], \
                  start_new_session=True)\nopen('pids', 'a').write(f'{child.pid}\\n')\ndef reward_func(completions, **kwargs):\n    \
                  open('spins', 'w').write('')\n    while True: pass\n";
    for (signal, twice) in [("-KILL", false), ("-TERM", true), ("-INT", true)] {
        let recipe = python_recipe(1) + "timeout_s = 600.0\n";
        let place = folder(&recipe, &[("reward.py", reward)]);
        let mut command = percept(&[
            "train",
            "recipe.toml",
            "--quiet",
            "--set",
            "data.digit_sum.val.len=1",
        ]);
        command
            .current_dir(place.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        until("it spins", || place.path().join("spins").exists());
        let send = || {
            Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status()
                .unwrap()
        };
        send();
        if twice {
            // The first asks for an orderly end after the step, which the verifier does not let end.
            std::thread::sleep(Duration::from_millis(100));
            send();
        }
        child.wait().unwrap();
        let pids = fs::read_to_string(place.path().join("pids")).unwrap();
        until("both are gone", || !pids.lines().any(is_running));
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "not so after a minute: {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_second_process_on_a_run_folder_is_refused_and_the_first_goes_on() {
    let place = folder(
        &format!("{TINY}[sft]\nsteps = 100000\ntrain_batch_size = 2\n"),
        &[],
    );
    let mut command = percept(&["train", "recipe.toml", "--quiet"]);
    command
        .current_dir(place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut first = command.spawn().unwrap();
    let metrics = place.path().join("runs/run/metrics.jsonl");
    let steps = || fs::read_to_string(&metrics).map_or(0, |text| text.lines().count());
    until("it trains", || steps() > 1);
    for how in ["--resume", "--overwrite"] {
        let second = run_in(place.path(), &["train", "recipe.toml", how]);
        assert_eq!(second.code, Some(1), "{how}: {}", second.stderr);
        assert!(
            second.stderr.contains("another process"),
            "{how}: {}",
            second.stderr
        );
    }
    let before = steps();
    until("the first goes on", || steps() > before + 1);
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn too_few_descriptors_end_in_an_error_and_lose_no_checkpoint() {
    let reward = "def reward_func(completions, **kwargs):\n    return [float(len(c)) for c in completions]\n";
    let place = folder(&python_recipe(2), &[("reward.py", reward)]);
    run_in(place.path(), &["train", "recipe.toml", "--quiet"]).ok();
    let run_path: PathBuf = place.path().join("runs/run");
    let before = checkpoints(&run_path);
    for limit in [4, 6, 8, 10, 12, 16] {
        let script = format!(
            "ulimit -n {limit}; exec {} train recipe.toml --resume --set rl.steps=4",
            env!("CARGO_BIN_EXE_percept")
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(place.path());
        let outcome = run(command);
        assert!(
            matches!(outcome.code, Some(0 | 1 | 127)),
            "{limit}: {outcome:?}"
        );
        assert!(
            !outcome.stderr.contains("panicked"),
            "{limit}: {}",
            outcome.stderr
        );
        for name in &before {
            assert!(
                outcome.code == Some(0) || run_path.join("checkpoints").join(name).exists(),
                "{limit}"
            );
        }
    }
    run_in(
        place.path(),
        &[
            "train",
            "recipe.toml",
            "--quiet",
            "--resume",
            "--set",
            "rl.steps=6",
        ],
    )
    .ok();
}

/// F4: a file that others read had `{"Ok": 0.0}` in it.
#[test]
fn evaluation_records_name_score_and_reason() {
    let reward = "def reward_func(completions, **kwargs):\n    return [None if len(c) % 2 else 1.0 for c in completions]\n";
    let place = folder(&python_recipe(1), &[("reward.py", reward)]);
    run_in(place.path(), &["train", "recipe.toml", "--quiet"]);
    let text = fs::read_to_string(place.path().join("runs/run/eval/base.jsonl")).unwrap();
    assert!(
        !text.contains("\"Ok\"") && !text.contains("\"Err\""),
        "{text}"
    );
    let record: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let part = &record["parts"][0];
    assert_eq!(part["name"], "python");
    assert!(
        part["score"].is_number() || part["reason"].is_string(),
        "{record}"
    );
}
