//! `percept data expert` against a server that drops, delays, truncates and limits, and killed in
//! the middle: nothing is lost, nothing is doubled, and it goes on where it was.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Outcome, SFT, TINY, base_model, percept, run, run_in, snapshot, write};
use mock::{Act, Mock, Seen};
use percept_data::{ColumnMap, Dataset, FileDataset, Media, Sample};
use serde_json::{Value, json};

const KEY: &str = "sk-never-to-be-seen";
/// The smallest PNG: one pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Row `i` asks for `i + i`; its image is a file for even rows and in the row for odd ones.
fn data(folder: &Path, rows: usize) -> PathBuf {
    let png = Media::from_base64(PNG).unwrap().encoded().unwrap();
    write(&folder.join("pictures/one.png"), png);
    let lines = (0..rows).map(|i| {
        let image = match i % 2 {
            0 => "pictures/one.png".to_owned(),
            _ => format!("data:image/png;base64,{PNG}"),
        };
        let row = json!({
            "problem": format!("<image>{i} + {i}"), "images": [image],
            "answer": (i + i).to_string(), "kind": format!("k{}", i % 3),
        });
        format!("{row}\n")
    });
    let path = folder.join("train.jsonl");
    write(&path, lines.collect::<String>());
    path
}

/// Number of the row that a request is about.
fn row_of(seen: &Seen) -> usize {
    let question = seen.question();
    question.split(' ').next().unwrap().parse().unwrap()
}

/// Every seventh row is never answered rightly, every fourth not at once.
fn words(seen: &Seen) -> String {
    let (row, candidate) = (row_of(seen), seen.body["seed"].as_u64().unwrap());
    let wrong = row % 7 == 3 || (row.is_multiple_of(4) && candidate == 0);
    let sum = if wrong { 999 } else { row + row };
    format!("Candidate {candidate}: {row} and {row} make \\boxed{{{sum}}}.")
}

/// Candidates that row `row` needs, of at most `n`.
fn needed(row: usize, n: usize) -> usize {
    match row {
        row if row % 7 == 3 => n,
        row if row.is_multiple_of(4) => 2,
        _ => 1,
    }
}

fn unruly(seen: &Seen, attempt: usize) -> Act {
    let text = words(seen);
    if attempt > 0 {
        return Act::Reply(text);
    }
    match row_of(seen) % 8 {
        0 => Act::Drop,
        1 => Act::Late(Duration::from_millis(900), text),
        2 => Act::Truncate(text),
        3 => Act::Status(429, "retry-after: 0\r\n", "{}".into()),
        4 => Act::Status(500, "", "oops".into()),
        5 => Act::Malformed,
        _ => Act::Reply(text),
    }
}

fn command(folder: &Path, mock: &Mock, rest: &[&str]) -> Command {
    let mut args = vec![
        "data",
        "expert",
        "--data",
        "train.jsonl",
        "--endpoint",
        &mock.url,
    ];
    args.extend([
        "--api-model",
        "m",
        "--out",
        "experts.jsonl",
        "--seed",
        "0",
        "--json",
    ]);
    args.extend(["--retry-pause", "0.002", "--max-concurrency", "6"]);
    args.extend(["--price-in", "1", "--price-out", "10"]);
    args.extend(rest);
    let mut command = percept(&args);
    command.current_dir(folder).env("PERCEPT_API_KEY", KEY);
    command
}

/// Shorter than the server's longest delay.
const IMPATIENT: [&str; 2] = ["--timeout", "0.5"];

fn summary(outcome: &Outcome) -> Value {
    serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap()
}

fn read(path: &Path) -> Vec<Sample> {
    let data = FileDataset::open(&[path.into()], &ColumnMap::default(), None).unwrap();
    (0..data.len()).map(|row| data.get(row).unwrap()).collect()
}

/// The data set holds every row once, in order, complete, with the right expert or none.
fn check_data(folder: &Path, rows: usize) {
    let found = read(&folder.join("experts.jsonl"));
    let source = read(&folder.join("train.jsonl"));
    assert_eq!(found.len(), rows);
    for (row, (found, source)) in found.iter().zip(&source).enumerate() {
        assert_eq!(found.id, source.id);
        assert_eq!(found.messages, source.messages);
        assert_eq!(found.answer, source.answer);
        assert_eq!(found.meta, source.meta);
        let hash = |sample: &Sample| sample.images[0].hash().unwrap();
        assert_eq!(hash(found), hash(source));
        let candidate = usize::from(row.is_multiple_of(4));
        let sum = row + row;
        let expert = format!("Candidate {candidate}: {row} and {row} make \\boxed{{{sum}}}.");
        assert_eq!(found.expert, (row % 7 != 3).then_some(expert));
    }
}

/// Answers in the journal, by (row, candidate): none stands there twice.
fn journal(folder: &Path) -> HashMap<(String, u64), String> {
    let text = fs::read_to_string(folder.join("experts.journal.jsonl")).unwrap();
    let mut found = HashMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let key = (
            line["id"].as_str().unwrap().to_owned(),
            line["candidate"].as_u64().unwrap(),
        );
        let text = line["reply"]["text"].as_str().unwrap().to_owned();
        assert_eq!(
            found.insert(key.clone(), text),
            None,
            "{key:?} stands twice"
        );
    }
    found
}

#[test]
fn nothing_is_lost_or_doubled_whatever_the_server_does_and_the_key_stays_secret() {
    const ROWS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    data(folder.path(), ROWS);
    let mock = Mock::start(unruly);
    let outcome = run(command(
        folder.path(),
        &mock,
        &[&["-n", "3"], &IMPATIENT[..]].concat(),
    ))
    .ok();
    check_data(folder.path(), ROWS);
    let candidates: usize = (0..ROWS).map(|row| needed(row, 3)).sum();
    assert_eq!(journal(folder.path()).len(), candidates);
    let said = summary(&outcome);
    let right = (0..ROWS).filter(|row| row % 7 != 3).count();
    let retries = &said["this_run"]["retries"];
    for kind in ["connection", "timeout", "body", "429", "500"] {
        assert!(retries[kind].as_u64() > Some(0), "{kind}: {retries}");
    }
    for (name, value) in [
        ("rows", ROWS),
        ("verified", right),
        ("right", right),
        ("candidates", candidates),
        ("failed", 0),
        ("prompt_tokens", 100 * candidates),
        ("completion_tokens", 10 * candidates),
    ] {
        assert_eq!(said[name], json!(value), "{name}: {said}");
    }
    let cost = candidates as f64 * 200.0 / 1e6;
    assert!((said["cost"].as_f64().unwrap() - cost).abs() < 1e-12);
    assert!(mock.most_busy() <= 12, "{}", mock.most_busy());
    let seen = mock.seen();
    let url = &seen[0].body["messages"][0]["content"][0]["image_url"]["url"];
    assert_eq!(url, &json!(format!("data:image/png;base64,{PNG}")));
    assert!(
        seen.iter()
            .all(|s| s.authorization == Some(format!("Bearer {KEY}")))
    );
    let shown = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!shown.contains(KEY));
    for (path, content) in snapshot(folder.path()) {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains(KEY), "{}", path.display());
    }

    // Again: nothing is asked. With a larger n: only the rows that need it.
    let again = run(command(folder.path(), &mock, &["-n", "3"])).ok();
    assert_eq!(mock.seen().len(), seen.len());
    assert_eq!(summary(&again)["this_run"]["cached"], json!(candidates));
    run(command(
        folder.path(),
        &mock,
        &["-n", "4", "--only-verified"],
    ))
    .ok();
    let new: Vec<usize> = mock.seen()[seen.len()..].iter().map(row_of).collect();
    assert!(new.iter().all(|row| row % 7 == 3), "{new:?}");
    assert_eq!(read(&folder.path().join("experts.jsonl")).len(), right);
}

fn journal_lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.matches('\n').count())
}

#[test]
fn a_killed_process_goes_on_where_it_was() {
    const ROWS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, ROWS);
    let slow = |seen: &Seen, _| Act::Late(Duration::from_millis(25), words(seen));
    let mut before = 0;
    for kill in 0..3 {
        let mock = Mock::start(slow);
        let mut child = command(folder, &mock, &["-n", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let path = folder.join("experts.journal.jsonl");
        let start = Instant::now();
        while journal_lines(&path) < before + 12 {
            assert!(start.elapsed() < Duration::from_secs(60), "too few answers");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!folder.join("experts.jsonl").exists());
        before = journal_lines(&path);
        if kill == 1 {
            // Half a line, as a power cut leaves it.
            let mut text = fs::read(&path).unwrap();
            text.extend(b"{\"key\":\"00");
            fs::write(&path, text).unwrap();
        }
    }
    let known = journal(folder);
    assert!(known.len() >= 36);
    let mock = Mock::start(slow);
    let outcome = run(command(folder, &mock, &["-n", "2"])).ok();
    check_data(folder, ROWS);
    let all = journal(folder);
    let candidates: usize = (0..ROWS).map(|row| needed(row, 2)).sum();
    assert_eq!(all.len(), candidates);
    assert!(known.iter().all(|(key, text)| all.get(key) == Some(text)));
    // What was in the journal is not asked again.
    assert_eq!(mock.seen().len(), candidates - known.len());
    assert_eq!(summary(&outcome)["this_run"]["cached"], json!(known.len()));
    // The data set is that of a process that nobody killed.
    let whole = fs::read(folder.join("experts.jsonl")).unwrap();
    fs::remove_file(folder.join("experts.journal.jsonl")).unwrap();
    let mock = Mock::start(unruly);
    run(command(
        folder,
        &mock,
        &[&["-n", "2"], &IMPATIENT[..]].concat(),
    ))
    .ok();
    assert_eq!(fs::read(folder.join("experts.jsonl")).unwrap(), whole);
}

#[test]
fn rows_that_fail_are_named_and_asked_again_and_a_wrong_key_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 8);
    let refusing = |seen: &Seen, _: usize| match row_of(seen) {
        5 => Act::Status(
            400,
            "",
            r#"{"error": {"message": "image too small"}}"#.into(),
        ),
        _ => Act::Reply(words(seen)),
    };
    let mock = Mock::start(refusing);
    let outcome = run(command(folder, &mock, &[]));
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert_eq!(summary(&outcome)["failed"], 1);
    let reasons = summary(&outcome)["reasons"].to_string();
    assert!(
        reasons.contains("train.jsonl:6") && reasons.contains("image too small"),
        "{reasons}"
    );
    assert_eq!(read(&folder.join("experts.jsonl")).len(), 8);
    let mock = Mock::start(|seen, _| Act::Reply(words(seen)));
    run(command(folder, &mock, &[])).ok();
    assert!(mock.seen().iter().all(|seen| row_of(seen) == 5));
    check_data(folder, 8);

    let mock = Mock::start(|_, _| {
        Act::Status(
            401,
            "",
            r#"{"error": {"message": "Incorrect API key sk-never-to-be-seen"}}"#.into(),
        )
    });
    let outcome = run(command(folder, &mock, &["--system", "Think."]));
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("Incorrect API key ***"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("PERCEPT_API_KEY"),
        "{}",
        outcome.stderr
    );
    assert!(mock.seen().len() <= 6, "{}", mock.seen().len());
}

#[test]
fn a_local_model_is_asked_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("recipe.toml"), format!("{TINY}{SFT}"));
    let model = base_model().display().to_string();
    let mut args = vec!["data", "expert", "recipe.toml", "--model", &model, "--json"];
    args.extend([
        "--out",
        "sets/experts.jsonl",
        "--limit",
        "6",
        "-n",
        "2",
        "--max-tokens",
        "6",
    ]);
    let said = summary(&run_in(folder, &args).ok());
    assert_eq!(said["rows"], 6);
    let found = read(&folder.join("sets/experts.jsonl"));
    assert_eq!(found.len(), 6);
    // A model of one step is never right: the rows keep the expert that they had.
    assert!(found.iter().all(|sample| sample.expert.is_some()));
    found
        .iter()
        .for_each(|sample| drop(sample.images[0].decode().unwrap()));
    let again = summary(&run_in(folder, &args).ok());
    assert_eq!(again["this_run"]["requests"], 0);
    assert_eq!(again["this_run"]["cached"], said["this_run"]["replies"]);
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    data(folder.path(), 2);
    let base = ["data", "expert", "--data", "train.jsonl", "--out"];
    for (rest, code, word) in [
        (
            &[
                "x.parquet",
                "--endpoint",
                "http://localhost:9",
                "--api-model",
                "m",
            ][..],
            1,
            ".jsonl",
        ),
        (
            &["x.jsonl", "--endpoint", "localhost:9", "--api-model", "m"],
            1,
            "http://HOST",
        ),
        (
            &["x.jsonl", "--endpoint", "http://localhost:9"],
            2,
            "--api-model",
        ),
        (&["x.jsonl"], 2, "--endpoint"),
        (
            &[
                "x.jsonl",
                "--endpoint",
                "http://localhost:9",
                "--api-model",
                "m",
                "-n",
                "0",
            ],
            1,
            "-n is 0",
        ),
        (
            &[
                "x.jsonl",
                "--endpoint",
                "http://localhost:9",
                "--api-model",
                "m",
                "--rpm",
                "0",
            ],
            1,
            "above 0",
        ),
        (
            &[
                "x.jsonl",
                "--endpoint",
                "http://localhost:9",
                "--api-model",
                "m",
                "--reward",
                "x",
            ],
            1,
            "--reward x",
        ),
    ] {
        let outcome = run_in(folder.path(), &[&base[..], rest].concat());
        assert_eq!(outcome.code, Some(code), "{rest:?}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(word),
            "{rest:?}: {}",
            outcome.stderr
        );
    }
}
