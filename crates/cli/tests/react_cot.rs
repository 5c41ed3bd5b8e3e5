//! `percept data react-cot` against a local server: what is kept, what is dropped and why, killed and resumed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Outcome, percept, run, write};
use mock::{Act, Mock, Seen};
use percept_frames::{FrameRow, read_judgement};
use serde_json::{Value, json};

/// Row `i`, 64 × 48: clean for every third, else with a box; half of the rows come from another folder of pictures.
fn data(folder: &Path, rows: usize) {
    let lines = (0..rows).map(|i| {
        let name = format!("frames/{i}.png");
        let path = folder.join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_pixel(64, 48, image::Rgb([i as u8, 80, 80])).save(path).unwrap();
        let (labels, boxes) = match i % 3 {
            0 => (json!([]), json!([])),
            _ => (json!(["extra limbs"]), json!([{"label": "extra limbs", "box": [i, 4, i + 20, 40]}])),
        };
        let row = json!({
            "images": [name], "prompt": format!("clip number {i}: what is wrong?"), "labels": labels, "boxes": boxes,
            "pair_id": format!("{i}@0.5"), "side": "A", "preference": "B", "time_s": 0.5, "video": "a.mp4", "annotator": "ann",
        });
        format!("{row}\n")
    });
    write(&folder.join("rows.jsonl"), lines.collect::<String>());
}

fn row_of(seen: &Seen) -> usize {
    let question = seen.question();
    let (_, rest) = question.split_once("clip number ").unwrap();
    rest.split(':').next().unwrap().parse().unwrap()
}

fn trace(row: usize, shift: usize) -> String {
    let findings = match row % 3 {
        0 => json!({"labels": [], "regions": []}),
        _ => {
            json!({"labels": ["extra limbs"], "regions": [{"label": "extra limbs", "box": [row + shift, 4, row + shift + 20, 40]}]})
        }
    };
    format!("<trace>Row {row} was looked at with care.</trace><answer>{findings}</answer>")
}

/// Every fifth row is never right, every fourth not at once.
fn words(seen: &Seen) -> String {
    let (row, candidate) = (row_of(seen), seen.body["seed"].as_u64().unwrap());
    match row {
        row if row % 5 == 1 => trace(row + 1, 0).replace("extra limbs", "motion blur"),
        row if row % 5 == 2 => format!("The annotation says so. {}", trace(row, 30)),
        row if row.is_multiple_of(4) && candidate == 0 => "I cannot say.".into(),
        row => trace(row, 2),
    }
}

fn command(folder: &Path, mock: &Mock, rest: &[&str]) -> Command {
    let mut args = vec![
        "data",
        "react-cot",
        "--data",
        "rows.jsonl",
        "--endpoint",
        &mock.url,
        "--api-model",
        "m",
    ];
    args.extend([
        "--out",
        "cot.jsonl",
        "--send-seed",
        "--json",
        "-n",
        "2",
        "--retry-pause",
        "0.002",
    ]);
    args.extend([
        "--max-concurrency",
        "6",
        "--price-in",
        "1",
        "--price-out",
        "10",
    ]);
    args.extend(rest);
    let mut command = percept(&args);
    command
        .current_dir(folder)
        .env("PERCEPT_API_KEY", "sk-secret");
    command
}

fn summary(outcome: &Outcome) -> Value {
    serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap()
}

fn never_right(row: usize) -> bool {
    // Regions that lie elsewhere do not matter where there is none.
    row % 5 == 1 || (row % 5 == 2 && !row.is_multiple_of(3))
}

fn check(folder: &Path, rows: usize) {
    let text = fs::read_to_string(folder.join("cot.jsonl")).unwrap();
    let found: Vec<FrameRow> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let right: Vec<usize> = (0..rows).filter(|row| !never_right(*row)).collect();
    assert_eq!(found.len(), right.len());
    for (row, found) in right.into_iter().zip(found) {
        assert_eq!(found.pair_id, format!("{row}@0.5"));
        assert_eq!(found.images, [format!("frames/{row}.png")]);
        let response = found.response.unwrap();
        let (reasoning, judgement) = read_judgement(&response).unwrap();
        assert_eq!(reasoning, format!("Row {row} was looked at with care."));
        assert_eq!(judgement.labels, found.labels);
        let low = 4.0 - found.labels.len() as f64;
        assert!((low..=low + 1.0).contains(&judgement.score), "{response}");
    }
    assert!(
        text.lines()
            .all(|line| line.contains("\"annotator\":\"ann\""))
    );
}

#[test]
fn right_traces_are_kept_others_counted_by_reason_and_nothing_is_asked_twice() {
    const ROWS: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, ROWS);
    let mock = Mock::start(|seen, attempt| match (row_of(seen) % 7, attempt) {
        (0, 0) => Act::Drop,
        (1, 0) => Act::Status(429, "retry-after: 0\r\n", "{}".into()),
        _ => Act::Reply(words(seen)),
    });
    let outcome = run(command(folder, &mock, &[])).ok();
    check(folder, ROWS);
    let said = summary(&outcome);
    let kept = (0..ROWS).filter(|row| !never_right(*row)).count();
    assert_eq!(
        (said["frames"].as_u64(), said["kept"].as_u64()),
        (Some(30), Some(kept as u64))
    );
    let count = |kind: &str| said["dropped"][kind].as_u64().unwrap_or(0) as usize;
    let twice = |which: &dyn Fn(usize) -> bool| 2 * (0..ROWS).filter(|row| which(*row)).count();
    assert_eq!(count("labels"), twice(&|row| row % 5 == 1), "{said}");
    assert_eq!(
        count("regions"),
        twice(&|row| row % 5 == 2 && !row.is_multiple_of(3)),
        "{said}"
    );
    let late = (0..ROWS).filter(|row| row.is_multiple_of(4) && ![1, 2].contains(&(row % 5)));
    assert_eq!(count("form"), late.count(), "{said}");
    assert!(
        said["this_run"]["retries"]["429"].as_u64() > Some(0),
        "{said}"
    );
    assert!(said["cost"].as_f64() > Some(0.0));
    let request = &mock.seen()[0].body["messages"][0]["content"];
    assert_eq!(request[0]["type"], "image_url");
    assert!(
        request[1]["text"].as_str().unwrap().contains("64 × 48"),
        "{request}"
    );

    let (before, text) = (
        mock.seen().len(),
        fs::read(folder.join("cot.jsonl")).unwrap(),
    );
    let again = run(command(folder, &mock, &[])).ok();
    assert_eq!(mock.seen().len(), before);
    assert!(summary(&again)["this_run"]["cached"].as_u64() > Some(0));
    assert_eq!(fs::read(folder.join("cot.jsonl")).unwrap(), text);
    // Another seed draws other scores of the same traces. It is sent as well, so what is asked is asked anew.
    run(command(folder, &mock, &["--seed", "5"]));
    assert_ne!(fs::read(folder.join("cot.jsonl")).unwrap(), text);
}

#[test]
fn a_killed_process_goes_on_where_it_was() {
    const ROWS: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, ROWS);
    let slow = |seen: &Seen, _| Act::Late(Duration::from_millis(25), words(seen));
    let mock = Mock::start(slow);
    let silent =
        |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = silent(&mut command(folder, &mock, &[])).unwrap();
    let lines = || {
        fs::read_to_string(folder.join("cot.journal.jsonl")).map_or(0, |t| t.matches('\n').count())
    };
    let start = Instant::now();
    while lines() < 12 {
        assert!(start.elapsed() < Duration::from_secs(60), "too few answers");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!folder.join("cot.jsonl").exists());
    let known = lines();
    let mock = Mock::start(slow);
    let outcome = run(command(folder, &mock, &[])).ok();
    check(folder, ROWS);
    assert_eq!(summary(&outcome)["this_run"]["cached"], json!(known));
    assert_eq!(mock.seen().len() + known, lines());
}

#[test]
fn rows_that_are_no_labelled_frames_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 2);
    let rows = fs::read_to_string(folder.join("rows.jsonl")).unwrap();
    let mock = Mock::start(|_, _| Act::Reply(String::new()));
    for (from, to, words) in [
        (
            "\"labels\":[\"extra limbs\"]",
            "\"labels\":[\"sixth finger\"]",
            &["rows.jsonl:2", "sixth finger", "extra limbs"][..],
        ),
        (
            "[1,4,21,40]",
            "[1,4,65,40]",
            &["rows.jsonl:2", "boxes", "64 × 48"],
        ),
        (
            "frames/1.png",
            "frames/9.png",
            &["rows.jsonl:2", "images[0]", "does not exist"],
        ),
        (
            "frames/1.png",
            "/etc/hostname",
            &["rows.jsonl:2", "images[0]"],
        ),
        ("\"pair_id\":\"1@0.5\",", "", &["rows.jsonl:2", "pair_id"]),
    ] {
        write(&folder.join("rows.jsonl"), rows.replace(from, to));
        let outcome = run(command(folder, &mock, &[]));
        assert_eq!(outcome.code, Some(1), "{to}");
        for word in words {
            assert!(
                outcome.stderr.contains(word),
                "{to}: {word}: {}",
                outcome.stderr
            );
        }
    }
    assert!(mock.seen().is_empty());
}
