//! Every block of docs/recipes.md: files are written under the names that the page gives them, recipes
//! are run (shorter) on generated pictures with a small model in the place of the named one. A
//! newcomer's path is the page's first section.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::blocks::{Block, commands, of_page, repository};
use common::{Outcome, base_model, run, write};
use image::{Rgb, RgbImage};
use serde_json::Value;

/// Two steps of a few short responses.
const SHORTER: &str = "--set rl.steps=2 --set rl.train_batch_size=2 --set rl.ppo_mini_batch_size=2 \
    --set rollout.num_generations=2 --set rollout.max_completion_length=6";

/// Twenty pictures of discs, and the page's rows repeated for them.
fn photographs(folder: &Path, rows: &str) {
    let lines: Vec<&str> = rows.lines().collect();
    let (mut train, mut val) = (String::new(), String::new());
    for number in 1..=20_u32 {
        let cups = 1 + number % 3;
        let picture = RgbImage::from_fn(84, 56, |x, y| {
            let inside = (0..cups).any(|c| x.abs_diff(14 + 26 * c) < 9 && y.abs_diff(28) < 12);
            Rgb(if inside {
                [200, 60, 40]
            } else {
                [220, 215, 180 + number as u8]
            })
        });
        fs::create_dir_all(folder.join("photos")).unwrap();
        picture
            .save(folder.join(format!("photos/{number:02}.png")))
            .unwrap();
        let mut row: Value = serde_json::from_str(lines[number as usize % lines.len()]).unwrap();
        row["image"] = format!("photos/{number:02}.png").into();
        row["solution"] = cups.to_string().into();
        let part = if number <= 16 { &mut train } else { &mut val };
        part.push_str(&format!("{row}\n"));
    }
    write(&folder.join("train.jsonl"), train);
    write(&folder.join("val.jsonl"), val);
}

/// Writes the files of the page; returns its `sh` blocks.
fn files(folder: &Path) -> Vec<Block> {
    let (files, shell): (Vec<Block>, Vec<Block>) = of_page(&repository("docs/recipes.md"))
        .into_iter()
        .partition(|block| block.language != "sh");
    for block in &files {
        let name = block.file.as_deref();
        let name = name.unwrap_or_else(|| panic!("line {}: a block without a file", block.line));
        write(&folder.join(name), &block.text);
        if block.language == "jsonl" {
            for line in block.text.lines() {
                let _: Value = serde_json::from_str(line).unwrap();
            }
        }
    }
    shell
}

fn shell(folder: &Path, line: &str) -> Outcome {
    let mut command = Command::new("sh");
    command.arg("-ec").arg(line).current_dir(folder);
    let path = std::env::var("PATH").unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_percept")).parent().unwrap();
    command.env("PATH", format!("{}:{path}", bin.display()));
    run(command)
}

fn prepared() -> (tempfile::TempDir, Vec<Block>) {
    let folder = tempfile::tempdir().unwrap();
    let shell = files(folder.path());
    let rows = fs::read_to_string(folder.path().join("train.jsonl")).unwrap();
    photographs(folder.path(), &rows);
    common::copy(&base_model(), &folder.path().join("Qwen2.5-VL-3B-Instruct"));
    (folder, shell)
}

// F5, must-show 5
#[test]
fn every_example_runs() {
    let (folder, blocks) = prepared();
    let mut ran = 0;
    for block in &blocks {
        for command in commands(block) {
            let more = match command.as_str() {
                c if c.starts_with("percept view") => "",
                c if c.starts_with("percept eval") => "--max-tokens 6",
                "percept train swift.toml" => &format!("{SHORTER} --set sft.steps=1"),
                _ => SHORTER,
            };
            let outcome = shell(folder.path(), &format!("{command} {more}"));
            let place = format!("docs/recipes.md:{}: {command}", block.line);
            assert_eq!(
                outcome.code,
                Some(0),
                "{place}\n{}\n{}",
                outcome.stderr,
                outcome.stdout
            );
            ran += 1;
        }
    }
    assert!(ran >= 9, "{ran}");
    let report = fs::read_to_string(folder.path().join("runs/cups/report.html")).unwrap();
    // The four held-out photographs, and what base and trained model answered.
    let data = report.split("id=\"data\">").nth(1).unwrap();
    let data: Value = serde_json::from_str(data.split("</script>").next().unwrap()).unwrap();
    assert_eq!(data["answers"]["total"], 4);
    assert_eq!(data["answers"]["stages"], serde_json::json!(["base", "rl"]));
    assert_eq!(data["answers"]["images"].as_array().unwrap().len(), 4);
    // The reward function graded every response: silence would be a fault.
    for item in data["answers"]["items"].as_array().unwrap() {
        for answer in item["by"].as_array().unwrap() {
            assert_ne!(answer["verdict"], "ungraded", "{answer}");
        }
    }
    let eval = fs::read_to_string(folder.path().join("eval/records.jsonl")).unwrap();
    assert_eq!(eval.lines().count(), 4);
}

// must-show 5
#[test]
fn a_newcomers_recipe_has_ten_lines_at_most() {
    let page = of_page(&repository("docs/recipes.md"));
    let recipe = page
        .iter()
        .find(|block| block.file.as_deref() == Some("recipe.toml"))
        .unwrap();
    assert!(recipe.text.lines().count() <= 10, "{}", recipe.text);
}

// F6
#[test]
fn a_recipe_is_read_from_anywhere_and_its_run_goes_on_from_the_resolved_one() {
    let (folder, _) = prepared();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    shell(
        &elsewhere,
        &format!("percept data check ../command.toml {SHORTER}"),
    )
    .ok();
    let first = shell(
        &elsewhere,
        &format!("percept train ../command.toml {SHORTER}"),
    )
    .ok();
    assert!(!first.stderr.contains("ungraded"), "{}", first.stderr);
    // No output_dir in the recipe: the run is where it was started.
    let run = elsewhere.join("runs/command");
    assert!(run.join("report.html").is_file());
    let kept = fs::read_to_string(run.join("recipe.toml")).unwrap();
    assert!(kept.contains("\"../../../trl.jsonl\""), "{kept}");
    let again = "percept train elsewhere/runs/command/recipe.toml --resume --set rl.steps=3";
    let second = shell(folder.path(), again).ok();
    assert!(
        second.stderr.contains("resuming after step 2"),
        "{}",
        second.stderr
    );
    // Paths of --set start at the working directory.
    let set = format!(
        "percept data check ../command.toml {SHORTER} --set 'data.train_files=[\"here.jsonl\"]'"
    );
    fs::rename(
        folder.path().join("trl.jsonl"),
        elsewhere.join("here.jsonl"),
    )
    .unwrap();
    let text = fs::read_to_string(elsewhere.join("here.jsonl")).unwrap();
    write(
        &elsewhere.join("here.jsonl"),
        text.replace("photos/", "../photos/"),
    );
    shell(&elsewhere, &set).ok();
}

// F7
#[test]
fn an_evaluation_takes_a_python_reward_a_table_with_options_columns_and_a_recipe() {
    let (folder, _) = prepared();
    let at = folder.path();
    let rows = fs::read_to_string(at.join("val.jsonl")).unwrap();
    write(
        &at.join("named.jsonl"),
        rows.replace("\"prompt\"", "\"asked\"")
            .replace("\"solution\"", "\"label\""),
    );
    let columns = "--columns '{ prompt = \"asked\", images = \"image\", answer = \"label\" }'";
    write(
        &at.join("sub/val.jsonl"),
        rows.replace("photos/", "../photos/"),
    );
    write(
        &at.join("sub/recipe.toml"),
        fs::read_to_string(at.join("command.toml"))
            .unwrap()
            .replace(
                "\"Qwen2.5-VL-3B-Instruct\"",
                "\"../Qwen2.5-VL-3B-Instruct\"",
            )
            .replace(
                "[\"trl.jsonl\"]",
                "[\"../trl.jsonl\"]\ndata.val_files = [\"val.jsonl\"]",
            )
            .replace("\"judge.py\"", "\"../judge.py\""),
    );
    let model = "percept eval --model Qwen2.5-VL-3B-Instruct --max-tokens 4 --json";
    for more in [
        "--data val.jsonl --reward '{ name = \"python\", path = \"reward.py\", completion_format = \"messages\" }'".to_owned(),
        "--data val.jsonl --reward compute_score.py:compute_score".to_owned(),
        "--data val.jsonl --reward '{ name = \"math\", rel_tolerance = 0.05 }' --reward format".to_owned(),
        format!("--data named.jsonl --reward exact {columns}"),
        "--recipe sub/recipe.toml".to_owned(),
        "--recipe sub/recipe.toml --data val.jsonl --reward math --image-dir . --max-pixels 12544".to_owned(),
        "--recipe sub/recipe.toml --set 'data.val_files=[\"val.jsonl\"]'".to_owned(),
    ] {
        let outcome = shell(at, &format!("{model} {more}")).ok();
        let summary: Value = serde_json::from_str(outcome.stdout.trim()).unwrap();
        assert_eq!(summary["accuracy"]["n"], 4, "{more}: {summary}");
        assert_eq!(summary["ungraded"], 0, "{more}: {summary}");
    }
    let wrong = shell(
        at,
        &format!("{model} --data val.jsonl --columns '{{ question = \"asked\" }}'"),
    );
    assert!(wrong.stderr.contains("question"), "{}", wrong.stderr);
}
