//! Reports in a real browser (headless Chromium, where there is one): `tools/check_pages.py`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::coco::{build, images};
use common::{RL, SFT, TINY, run_in, write};
use mock::{Act, Mock};
use serde_json::{Value, json};

/// Replies of a model that always says yes, as records of a run.
fn always_yes(data: &Path, records: &Path) {
    let text = fs::read_to_string(data.join("qa.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let lines = rows.into_iter().map(|mut row| {
        row["response"] = "Yes".into();
        row["parsed"] = "yes".into();
        row.to_string() + "\n"
    });
    write(records, lines.collect::<String>());
}

/// Pages of everything that writes one about pictures and answers, and a run's own.
fn pages(at: &Path) -> Vec<&'static str> {
    let percept = |args: &[&str]| run_in(at, args).ok();
    percept(&["halbench", "scenes", "--out", "bench", "--pairs", "12"]);
    always_yes(&at.join("bench"), &at.join("records.jsonl"));
    let causal = [
        "eval",
        "causal-halbench",
        "--data",
        "bench",
        "--records",
        "records.jsonl",
    ];
    percept(&[&causal[..], &["--output", "causal"]].concat());

    images(at, 16, "png");
    build(at, &at.join("built"), &[]).ok();
    let split = [
        "eval",
        "pope",
        "--build",
        "instances.json",
        "--output",
        "pope-data",
    ];
    percept(&[&split[..], &["--build-images", "6", "--objects", "2"]].concat());
    let asked = fs::read_to_string(at.join("pope-data/coco_pope_random.json")).unwrap();
    let yes = |line: &str| {
        let question: Value = serde_json::from_str(line).unwrap();
        json!({"question_id": question["question_id"], "answer": "Yes."}).to_string() + "\n"
    };
    write(
        &at.join("answers.jsonl"),
        asked.lines().map(yes).collect::<String>(),
    );
    let pope = [
        "eval",
        "pope",
        "--data",
        "pope-data/coco_pope_random.json",
        "--answers",
        "answers.jsonl",
    ];
    percept(&[&pope[..], &["--output", "pope"]].concat());
    let scm = [
        "halbench",
        "scm",
        "--records",
        "pope/records.jsonl",
        "--output",
        "scm",
    ];
    percept(&[&scm[..], &["--annotations", "instances.json"]].concat());

    let said = |name: &str| {
        let text = |image: usize| ["A bear and a cat.", "A bus.", "Two cups, a clock."][image % 3];
        (0..9)
            .map(|image| json!({"image_id": image, name: text(image)}))
            .collect::<Value>()
            .to_string()
    };
    write(&at.join("captions.json"), said("caption"));
    write(&at.join("described.json"), said("answer"));
    let ground = ["--instances", "instances.json", "--output"];
    let chair = [
        &["eval", "chair", "--captions", "captions.json"][..],
        &ground,
        &["chair"],
    ]
    .concat();
    percept(&chair);
    let object = ["eval", "object-halbench", "--answers", "described.json"];
    percept(&[&object[..], &ground, &["object"]].concat());

    let item = |answer: &str| {
        json!({"question_type": "counting", "image_id": "a1", "image_src": "https://host/x.png", "image_content": ["Cat"],
            "question": "How many?", "gt_answer": "One.", "model_answer": answer})
    };
    write(
        &at.join("items.json"),
        json!([item("One cat."), item("Two.")]).to_string(),
    );
    let judge = Mock::start(|seen, _| {
        let right = seen.question().contains("One cat.");
        Act::Reply(if right { "Rating: 5" } else { "Rating: 1" }.into())
    });
    let mmhal = [
        "eval",
        "mmhal",
        "--data",
        "items.json",
        "--given",
        "--output",
        "mmhal",
    ];
    percept(
        &[
            &mmhal[..],
            &["--judge-endpoint", &judge.url, "--judge-model", "j"],
        ]
        .concat(),
    );

    write(&at.join("recipe.toml"), format!("{TINY}{SFT}{RL}"));
    percept(&["train", "recipe.toml"]);

    let export = ["data", "export", "--task", "scenes", "--ask", "preference"];
    percept(&[&export[..], &["--rows", "6", "--output", "scenes"]].concat());
    write(&at.join("pairs.toml"), PAIRS);
    percept(&["train", "pairs.toml"]);
    vec![
        "causal/report.html",
        "built/report.html",
        "pope/report.html",
        "scm/scm.html",
        "chair/report.html",
        "object/report.html",
        "mmhal/report.html",
        "runs/run/report.html",
        "runs/pairs/report.html",
    ]
}

/// A run of a preference stage, whose pairs differ in answers and in pictures.
const PAIRS: &str = r#"
trainer.experiment_name = "pairs"
data.train_files = ["scenes/data.jsonl"]
[model]
tiny = {}
[dpo]
steps = 2
train_batch_size = 2
[preference]
loss = "adavip"
"#;

#[test]
fn reports_load_nothing_show_their_pictures_and_sort_by_keyboard() {
    let folder = tempfile::tempdir().unwrap();
    let pages = pages(folder.path());
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/check_pages.py");
    let checked = Command::new("python3")
        .arg(tool)
        .args(pages.iter().map(|page| folder.path().join(page)))
        .output();
    let Ok(checked) = checked else {
        println!("skipped: no python3");
        return;
    };
    if checked.status.code() == Some(77) {
        println!("skipped: no chromium (Debian: apt install chromium)");
        return;
    }
    let said = String::from_utf8(checked.stdout).unwrap();
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}{errors}");
    let found: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(found.len(), pages.len(), "{said}");
    let count = |page: usize, what: &str| found[page][what].as_u64().unwrap();
    // Two pictures a pair; a run shows those of its rollouts, or of the responses of a pair.
    let runs = pages.len() - 2;
    assert!(
        count(0, "pictures") >= 24 && count(1, "pictures") >= 24,
        "{said}"
    );
    assert!(count(runs, "pictures") >= 1, "{said}");
    assert!(count(runs + 1, "pictures") >= 3, "{said}");
    assert!(
        count(0, "columns_sorted") >= 5 && count(0, "orders_checked") >= 10,
        "{said}"
    );
    for (page, name) in pages.iter().enumerate().take(runs) {
        assert!(count(page, "columns_sorted") >= 2, "{name}: {said}");
    }
}
