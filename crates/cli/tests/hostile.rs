//! Data, options and names that were made to do harm, against the whole program: a clear refusal, and nothing leaves.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::fs;
use std::path::Path;

use common::coco::{build, images};
use common::{Outcome, RL, SFT, TINY, base_model, percept, run, run_in, write};
use mock::{Act, Mock};
use percept_data::Media;
use serde_json::json;

/// The smallest PNG: one pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn png() -> std::sync::Arc<[u8]> {
    Media::from_base64(PNG).unwrap().encoded().unwrap()
}

fn refused(outcome: &Outcome, expected: &str) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
}

/// H1: `tokens · choosers · top_k` wrapped, and the choices went outside of their array.
#[test]
fn any_number_of_chosen_blocks_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..2)
        .map(|at| {
            let text = "one two three four five six seven eight ".repeat(50);
            format!(
                "{}\n",
                json!({"prompt": text, "completion": format!("nine {at}")})
            )
        })
        .collect();
    write(&folder.path().join("rows.jsonl"), rows);
    let model = base_model();
    let score = |attention: &str| {
        let model = model.to_str().unwrap();
        let args = [
            "score",
            "--model",
            model,
            "--input",
            "rows.jsonl",
            "--attention",
            attention,
        ];
        run_in(folder.path(), &args).ok().stdout
    };
    for name in ["moba", "phsa"] {
        let with = |top_k: &str| {
            score(&format!(
                "{{ name = \"{name}\", block_size = 16, top_k = {top_k} }}"
            ))
        };
        let all = with("64");
        assert!(!all.is_empty());
        for huge in ["1000000000", "4611686018427387905", "9223372036854775807"] {
            assert_eq!(with(huge), all, "{name} {huge}");
        }
    }
}

/// H2: one question of POPE names a file of the machine, another a link, the third a text beside the pictures.
#[test]
fn a_benchmark_sends_pictures_of_its_folder_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(&at.join("images/good.png"), png());
    write(&at.join("images/notes.png"), "a text");
    write(&at.join("private/secret.png"), png());
    std::os::unix::fs::symlink(at.join("private/secret.png"), at.join("images/link.png")).unwrap();
    let secret = at.join("private/secret.png");
    let bad = [
        "/etc/passwd",
        "../private/secret.png",
        "link.png",
        "notes.png",
        secret.to_str().unwrap(),
    ];
    for image in bad {
        let question = |id: u32, image: &str| {
            let row = json!({"question_id": id, "image": image, "text": "Is there a dog in the image?", "label": "no"});
            format!("{row}\n")
        };
        write(
            &at.join("pope.jsonl"),
            question(1, image) + &question(2, "good.png"),
        );
        let server = Mock::start(|_, _| Act::Reply("No.".into()));
        let ask = |rest: &[&str]| {
            let args = [
                "eval",
                "pope",
                "--data",
                "pope.jsonl",
                "--images",
                "images",
                "--endpoint",
                &server.url,
                "--api-model",
                "m",
            ];
            let mut command = percept(&[&args, rest].concat());
            command.current_dir(at);
            run(command)
        };
        let outcome = ask(&[]);
        assert_eq!(outcome.code, Some(1), "{image}: {outcome:?}");
        let said = if image == "notes.png" || image == "/etc/passwd" {
            "not an image"
        } else {
            "outside the folders"
        };
        let outside = outcome.stderr.contains("outside the folders");
        assert!(
            outside || outcome.stderr.contains(said),
            "{image}: {}",
            outcome.stderr
        );
        assert!(server.seen().len() <= 1, "{image} was sent");
        if image != "notes.png" && image != "/etc/passwd" {
            ask(&["--allow-images", "private"]).ok();
        }
    }
}

/// H2: rows of a data set, and the benchmark that is built from annotations.
#[test]
fn an_expert_gets_images_of_the_data_folder_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(&at.join("private/secret.png"), png());
    write(&at.join("data/good.png"), png());
    let row = |image: &str| {
        let problem = format!("<image>1 + 1, {image}");
        let row = json!({"problem": problem, "images": [image], "answer": "2"});
        format!("{row}\n")
    };
    write(
        &at.join("data/train.jsonl"),
        row("../private/secret.png") + &row("good.png"),
    );
    let server = Mock::start(|_, _| Act::Reply(r"\boxed{2}".into()));
    let args = [
        "data",
        "expert",
        "--data",
        "data/train.jsonl",
        "--endpoint",
        &server.url,
        "--api-model",
        "m",
        "--out",
        "out.jsonl",
    ];
    let outcome = run_in(at, &args);
    refused(&outcome, "train.jsonl:1, images[0]");
    assert!(
        outcome.stderr.contains("--allow-images"),
        "{}",
        outcome.stderr
    );
    assert_eq!(server.seen().len(), 1);
    run_in(at, &[&args[..], &["--allow-images", "private"]].concat()).ok();
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_benchmark_is_built_from_its_images_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let file = images(at, 6, "png");
    fs::create_dir(at.join("private")).unwrap();
    for number in 0..6 {
        let name = format!("{number:04}.png");
        fs::rename(
            at.join("images").join(&name),
            at.join("private").join(&name),
        )
        .unwrap();
    }
    let text = fs::read_to_string(&file).unwrap();
    write(
        &file,
        text.replace("\"file_name\":\"", "\"file_name\":\"../private/"),
    );
    let out = at.join("bench");
    let outcome = build(at, &out, &[]);
    assert_ne!(outcome.code, Some(0));
    assert!(
        files(&out).iter().all(|name| !name.ends_with("png")),
        "{outcome:?}"
    );
    let private = at.join("private");
    build(
        at,
        &at.join("allowed"),
        &["--allow-images", private.to_str().unwrap()],
    )
    .ok();
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        match entry.path().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.file_name().to_string_lossy().into_owned()),
        }
    }
    found
}

/// M5: the id of a row, the name of a file and what a server says reach the terminal as text.
#[test]
fn nothing_that_is_printed_commands_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let name = "rows\u{1b}]0;title\u{7}\u{202e}.jsonl";
    let row = json!({"id": "\u{1b}[2Jrow", "problem": "1 + 1", "answer": "no number \u{9b}1m"});
    write(&at.join(name), format!("{row}\n{row}\n{{\n"));
    let check = |name: &str| {
        let recipe = format!(
            "[trainer]\nexperiment_name = 'run'\noutput_dir = 'runs'\n[model]\npath = '{}'\n[data]\n\
             train_files = [{}]\n{RL}",
            base_model().display(),
            json!(name)
        );
        write(&at.join("recipe.toml"), recipe);
        run_in(at, &["data", "check", "recipe.toml"])
    };
    let server = Mock::start(|_, _| {
        Act::Status(
            401,
            "",
            "{\"error\": {\"message\": \"\\u001b[31mno\"}}".into(),
        )
    });
    write(
        &at.join("good.jsonl"),
        format!(
            "{}\n",
            json!({"id": "\u{1b}[2Jrow", "problem": "1 + 1", "answer": "2"})
        ),
    );
    let args = [
        "data",
        "expert",
        "--data",
        "good.jsonl",
        "--endpoint",
        &server.url,
        "--api-model",
        "m",
        "--out",
        "out.jsonl",
    ];
    for outcome in [check(name), run_in(at, &args), check("no\u{1b}[1m.jsonl")] {
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(all.contains(r"\u001b"), "{all:?}");
        let order = |c: char| c.is_control() && c != '\n' && c != '\t' || c == '\u{202e}';
        assert!(!all.contains(order), "{all:?}");
    }
}

/// Numbers with some zeros too many are said, and no allocation is tried.
#[test]
fn sizes_that_no_machine_has_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write(
        &folder.path().join("recipe.toml"),
        format!("{TINY}{SFT}{RL}"),
    );
    for field in [
        "data.digit_sum.sft.len",
        "data.digit_sum.rl.len",
        "data.digit_sum.val.len",
        "rollout.max_completion_length",
        "rollout.num_generations",
        "eval.max_completion_length",
        "sft.train_batch_size",
        "rl.train_batch_size",
        "model.lora.r",
        "model.tiny.hidden_size",
        "model.tiny.intermediate_size",
        "model.tiny.num_hidden_layers",
        "model.tiny.vision.hidden_size",
        "model.tiny.vision.intermediate_size",
        "model.tiny.vision.depth",
        "model.tiny.vision.patch_size",
        "model.tiny.vision.spatial_merge_size",
        "model.tiny.vision.temporal_patch_size",
    ] {
        for value in ["9223372036854775807", "100000000000"] {
            let set = format!("{field}={value}");
            let outcome = run_in(folder.path(), &["train", "recipe.toml", "--set", &set]);
            refused(&outcome, &format!("{field} is {value}; expected at most"));
        }
    }
    let wide = [
        "model.tiny.hidden_size=65536",
        "model.tiny.num_hidden_layers=1000",
    ];
    let args = ["train", "recipe.toml", "--set", wide[0], "--set", wide[1]];
    refused(&run_in(folder.path(), &args), "parameters");
}
