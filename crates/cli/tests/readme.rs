//! Every block of README.md, run as it stands in a folder of its own with the built binary. What is
//! trained is trained shorter, and what a reader has to put in (a model, a data set, a server) is
//! put in; nothing else is changed. The trained model has to answer the question of the README right.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::blocks::{Block, commands, of_page, repository};
use common::{Outcome, coco, run, write};
use mock::{Act, Mock};
use serde_json::{Value, json};

/// Commands that are not run, and why.
const NOT_RUN: [(&str, &str); 3] = [
    (
        "cargo run --release -- quickstart",
        "builds the program; the same command of the built binary is run",
    ),
    ("cargo test --workspace --release", "runs this test"),
    (
        "percept bench --python python3",
        "measures this machine for minutes; crates/cli/src/commands/bench has its own tests",
    ),
];

/// The quick start in a quarter of a minute: one kind of question, which it learns.
const QUICK: &str = "percept quickstart --quiet --set sft.steps=200 --set rl.steps=2 --set rl.train_batch_size=16 \
    --set rl.ppo_mini_batch_size=16 --set data.digit_sum.val.len=48 --set data.digit_sum.sft.expert_error=0 \
    --set 'data.digit_sum.sft.questions=[\"count\"]' --set 'data.digit_sum.rl.questions=[\"count\"]' \
    --set 'data.digit_sum.val.questions=[\"count\"]' --set trainer.rollout_freq=1";

/// A few steps of a few rows.
const SHORTER: &str = "--set rl.steps=1 --set rl.train_batch_size=2 --set rl.ppo_mini_batch_size=1 \
    --set rollout.num_generations=2 --set rollout.max_completion_length=8";

/// The same for a comparison: its warm start too.
const SHORTER_COMPARE: &str = "--set sft.steps=2 --set data.digit_sum.val.len=4 --set eval.test_freq=0 \
    --set trainer.rollout_freq=1";

struct Scratch<'a> {
    folder: &'a Path,
    server: &'a Mock,
}

impl Scratch<'_> {
    /// What is run for a command of the page.
    fn prepared(&self, command: &str) -> String {
        let mut line = command
            .replace("--endpoint URL", &format!("--endpoint {}", self.server.url))
            .replace("--api-model NAME", "--api-model mock")
            .replace("--model DIR", "--model Qwen2.5-VL-3B-Instruct")
            .replace("--images DIR", "--images val2014")
            .replace("--base DIR", "--base Qwen2.5-VL-3B-Instruct")
            .replace("--tuned DIR", "--tuned runs/quickstart")
            .replace("--model TUNED", "--model runs/quickstart")
            .replace("--extrapolate BASE", "--extrapolate Qwen2.5-VL-3B-Instruct")
            .replace(
                "--digit-sum 200",
                "--digit-sum 4 -n 1 --shares 0.1 --gammas 0,1",
            )
            .replace("--digit-sum 500", "--digit-sum 64")
            .replace("--seeds 5", "--seeds 1");
        let more = match () {
            () if line.starts_with("percept train") || line.starts_with("percept data check") => {
                SHORTER.to_owned()
            }
            () if line.starts_with("percept compare") => format!("{SHORTER} {SHORTER_COMPARE}"),
            () if line.starts_with("percept eval chair") => "--sample 2 --max-tokens 8".to_owned(),
            () if line.starts_with("percept eval causal") => "--max-tokens 4".to_owned(),
            () if line.contains("--serve") => {
                line = format!("timeout 2 {line} 127.0.0.1:0 || test $? = 124");
                String::new()
            }
            () => String::new(),
        };
        format!("{line} {more}")
    }

    fn shell(&self, line: &str) -> Outcome {
        let mut command = Command::new("sh");
        command.arg("-ec").arg(line).current_dir(self.folder);
        let path = std::env::var("PATH").unwrap();
        let bin = self.folder.join("bin");
        command.env("PATH", format!("{}:{path}", bin.display()));
        command.env_remove("PERCEPT_API_KEY");
        run(command)
    }
}

/// The binary, the repository's recipes, pictures with annotations, rows, and questions of benchmarks.
fn prepare(scratch: &Scratch<'_>) {
    let at = scratch.folder;
    fs::create_dir_all(at.join("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_percept"), at.join("bin/percept")).unwrap();
    std::os::unix::fs::symlink(repository("crates"), at.join("crates")).unwrap();
    scratch.shell(QUICK).ok();
    // Any model of this architecture does for the commands; this one is small.
    let newest = fs::read_dir(at.join("runs/quickstart/checkpoints")).unwrap();
    let newest = newest.map(|entry| entry.unwrap().path()).max().unwrap();
    common::copy(&newest, &at.join("Qwen2.5-VL-3B-Instruct"));

    for part in ["train", "test"] {
        let export = format!("percept data export --output geo3k --rows 4 --split {part} --seed 1");
        let out = scratch.shell(&export).ok().stdout;
        fs::rename(at.join(out.trim()), at.join(format!("geo3k/{part}.jsonl"))).unwrap();
    }
    coco::images(at, 12, "png");
    fs::rename(at.join("images"), at.join("val2014")).unwrap();
    fs::copy(at.join("val2014/0000.png"), at.join("photo.png")).unwrap();
    let captions: Vec<Value> = (0..12)
        .map(|image| json!({"id": image, "image_id": image, "caption": "A bear and a cat."}))
        .collect();
    write(
        &at.join("captions.json"),
        json!({"annotations": captions, "images": []}).to_string(),
    );
    for prepared in [
        "percept halbench scenes --out Causal-HalBench --pairs 2",
        "percept eval pope --build instances.json --output POPE/output/coco --build-images 4 --objects 1",
    ] {
        scratch.shell(prepared).ok();
    }
}

/// The answer to "How many digits are there?" about the first exported row's picture.
fn digits_in_the_first_picture(folder: &Path) -> String {
    let rows = fs::read_dir(folder.join("digits")).unwrap();
    let file = rows
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .unwrap();
    let text = fs::read_to_string(file).unwrap();
    let row: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    // The expert reads all digits out.
    row["digits"]
        .as_array()
        .map(|digits| digits.len().to_string())
        .unwrap_or_else(|| panic!("no digits in {row}"))
}

/// What a command must have said or left.
fn check(scratch: &Scratch<'_>, command: &str, outcome: &Outcome) {
    let (said, at) = (&outcome.stdout, scratch.folder);
    match command {
        c if c.starts_with("percept generate --model runs/quickstart") => {
            let right = digits_in_the_first_picture(at);
            let boxed = format!("\\boxed{{{right}}}");
            assert!(said.contains(&boxed), "{c}\nexpected {boxed}, got: {said}");
        }
        c if c.starts_with("percept eval --model runs/quickstart") => {
            let line = said
                .lines()
                .find(|l| l.trim_start().starts_with("count "))
                .unwrap();
            let accuracy: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            assert!(accuracy > 60.0, "{said}");
        }
        c if c.starts_with("percept view runs/quickstart --serve") => {
            assert!(outcome.stderr.contains("serving"), "{}", outcome.stderr);
        }
        c if c.starts_with("percept view") => {
            let page = fs::read_to_string(at.join(said.trim())).unwrap();
            assert!(page.contains("</html>"));
        }
        c if c.starts_with("percept config --schema") => {
            let schema = fs::read(at.join("recipe.schema.json")).unwrap();
            let schema: Value = serde_json::from_slice(&schema).unwrap();
            assert!(schema["properties"]["rollout"].is_object());
        }
        c if c.starts_with("percept train") => {
            assert!(at.join("runs/geo3k/report.html").is_file());
        }
        c if c.starts_with("percept data expert") => {
            let rows = fs::read_to_string(at.join("experts.jsonl")).unwrap();
            assert_eq!(rows.lines().count(), 4);
        }
        c if c.starts_with("percept halbench build") => {
            assert!(at.join("my-benchmark/report.html").is_file());
        }
        c => assert!(!said.trim().is_empty(), "{c} says nothing"),
    }
}

/// A recipe block: whole, or a part that goes into the recipe before it.
fn recipe(scratch: &Scratch<'_>, block: &Block, before: &mut String) {
    let whole = block.text.contains("[model]");
    let text = match whole {
        true => block.text.clone(),
        false => format!("{before}\n{}", block.text),
    };
    let name = if whole { "recipe.toml" } else { "method.toml" };
    write(&scratch.folder.join(name), &text);
    let printed = scratch.shell(&format!("percept config {name}")).ok().stdout;
    assert!(
        printed.contains("[algorithm.loss.policy_loss]"),
        "{printed}"
    );
    if whole {
        *before = text;
    }
}

#[test]
fn every_block_of_the_readme_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mock::start(|seen, _| {
        let yes = seen.question().starts_with("Is there");
        Act::Reply(
            if yes {
                "Yes"
            } else {
                "The answer is \\boxed{7}."
            }
            .into(),
        )
    });
    let scratch = Scratch {
        folder: folder.path(),
        server: &server,
    };
    prepare(&scratch);
    let (mut before, mut ran, mut left) = (String::new(), 0, Vec::new());
    for block in of_page(&repository("README.md")) {
        match block.language.as_str() {
            "toml" => recipe(&scratch, &block, &mut before),
            "sh" => {
                for command in commands(&block) {
                    if let Some((name, _)) = NOT_RUN.iter().find(|(name, _)| *name == command) {
                        left.push(*name);
                        continue;
                    }
                    let line = scratch.prepared(&command);
                    let outcome = scratch.shell(&line);
                    let place = format!("README.md:{}: {command}\nrun as: {line}", block.line);
                    assert_eq!(
                        outcome.code,
                        Some(0),
                        "{place}\n{}\n{}",
                        outcome.stderr,
                        outcome.stdout
                    );
                    assert!(
                        !outcome.stderr.contains("panicked"),
                        "{place}\n{}",
                        outcome.stderr
                    );
                    check(&scratch, &command, &outcome);
                    ran += 1;
                }
            }
            other => panic!(
                "README.md:{}: a block of {other:?}, which this test does not know",
                block.line
            ),
        }
    }
    assert_eq!(
        left.len(),
        NOT_RUN.len(),
        "a command that is not run is gone from the page: {left:?}"
    );
    assert!(ran >= 20, "{ran} commands");
}
