//! Reports in a real browser (headless Chromium, where there is one): `tools/check_pages.py`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{run_in, write};
use serde_json::Value;

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

#[test]
fn reports_load_nothing_show_their_pictures_and_sort_by_keyboard() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("bench");
    run_in(
        folder.path(),
        &["halbench", "scenes", "--out", "bench", "--pairs", "12"],
    )
    .ok();
    always_yes(&data, &folder.path().join("records.jsonl"));
    let records = ["--records", "records.jsonl", "--output", "run"];
    let eval = ["eval", "causal-halbench", "--data", "bench"];
    run_in(folder.path(), &[&eval[..], &records].concat()).ok();

    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/check_pages.py");
    let checked = Command::new("python3")
        .arg(tool)
        .arg(folder.path().join("run/report.html"))
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
    let found: Value = serde_json::from_str(said.trim()).unwrap();
    assert!(found["pictures"].as_u64().unwrap() >= 24, "{said}");
    assert!(found["columns_sorted"].as_u64().unwrap() >= 5, "{said}");
    assert!(found["orders_checked"].as_u64().unwrap() >= 10, "{said}");
}
