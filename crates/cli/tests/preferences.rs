//! `percept data preferences` against servers that drop, delay and limit, with a local model, and killed in the middle:
//! the files are those of a process that nobody killed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{Cases, Outcome, base_model, percept, run, snapshot, write};
use image::RgbImage;
use mock::{Act, Mock, Seen};
use serde_json::{Value, json};

const KEY: &str = "sk-never-to-be-seen";
/// The files that a finished command leaves besides journals.
const FILES: [&str; 4] = [
    "preferences.jsonl",
    "candidates.jsonl",
    "skipped.jsonl",
    "summary.json",
];

/// A picture that can be decoded: local models look at it.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = RgbImage::from_pixel(width, height, image::Rgb([9, 90, 200]));
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// Rows whose picture shows a dog; it is a file for even rows and in the row for odd ones.
fn data(folder: &Path, rows: usize) -> PathBuf {
    let png = png(56, 56);
    let url = format!("data:image/png;base64,{}", STANDARD.encode(&png));
    write(&folder.join("pictures/one.png"), &png);
    let lines = (0..rows).map(|i| {
        let image = match i % 2 {
            0 => "pictures/one.png".to_owned(),
            _ => url.clone(),
        };
        let row = json!({
            "prompt": format!("<image>{i}: describe it."), "images": [image], "seen": ["dog"],
            "chosen": "an old answer", "rejected": "another", "kind": format!("k{}", i % 3),
        });
        format!("{row}\n")
    });
    let path = folder.join("rows.jsonl");
    write(&path, lines.collect::<String>());
    path
}

/// Row and candidate of a request for an answer.
fn asked(seen: &Seen) -> (usize, usize) {
    let question = seen.question();
    let row = question.split(':').next().unwrap().parse().unwrap();
    (row, seen.body["seed"].as_u64().unwrap() as usize - 7)
}

/// Candidates differ in what they invent. Every fifth row gives equal scores, every seventh names nothing.
fn answer(seen: &Seen) -> String {
    let (row, candidate) = asked(seen);
    match candidate % 3 {
        _ if row % 7 == 6 => format!("A fine day {candidate}."),
        _ if row % 5 == 4 => format!("A dog {candidate}."),
        0 => "There is a dog.".to_owned(),
        1 => "There is a dog. It looks at a cat.".to_owned(),
        _ => "There is a cat. It is in a car.".to_owned(),
    }
}

/// What is wrong with a claim: dogs alone are there.
fn verdict(seen: &Seen) -> String {
    let invented = ["cat", "car"]
        .iter()
        .any(|word| seen.question().contains(word));
    if invented { "No." } else { "Yes, it is." }.to_owned()
}

fn is_verdict(seen: &Seen) -> bool {
    seen.question().contains("yes or no")
}

fn says(seen: &Seen) -> String {
    if is_verdict(seen) {
        verdict(seen)
    } else {
        answer(seen)
    }
}

fn unruly(seen: &Seen, attempt: usize) -> Act {
    let text = says(seen);
    let seed = seen.body["seed"].as_u64().unwrap_or(0) as usize;
    let kind = (seen.question().bytes().map(usize::from).sum::<usize>() + seed) % 5;
    match (attempt, kind) {
        (0, 0) => Act::Drop,
        (0, 1) => Act::Truncate(text),
        (0, 2) => Act::Status(429, "retry-after: 0\r\n", "{}".into()),
        (0, 3) => Act::Malformed,
        _ => Act::Reply(text),
    }
}

fn command(folder: &Path, mock: &Mock, rest: &[&str]) -> Command {
    let mut args = vec!["data", "preferences", "--data", "rows.jsonl", "--json"];
    args.extend(["--endpoint", &mock.url, "--api-model", "m", "--seed", "7"]);
    args.extend(["--retry-pause", "0.002"]);
    if !rest.contains(&"--num-generations") {
        args.extend(["--num-generations", "3"]);
    }
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
    command.current_dir(folder).env("PERCEPT_API_KEY", KEY);
    command
}

const ANNOTATED: [&str; 4] = ["--judge", "annotations", "--objects", "seen"];

fn summary(outcome: &Outcome) -> Value {
    serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn files(out: &Path) -> Vec<Vec<u8>> {
    FILES
        .iter()
        .map(|name| fs::read(out.join(name)).unwrap())
        .collect()
}

#[test]
fn every_answer_claim_and_verdict_is_stored_and_every_row_is_accounted_for() {
    const ROWS: usize = 35;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, ROWS);
    let mock = Mock::start(unruly);
    let rest = [&ANNOTATED[..], &["--out", "out", "--pairs-per-row", "0"]].concat();
    let outcome = run(command(folder, &mock, &rest)).ok();
    let said = summary(&outcome);
    let out = folder.join("out");
    let nothing = (0..ROWS).filter(|row| row % 7 == 6).count();
    let equal = (0..ROWS).filter(|row| row % 7 != 6 && row % 5 == 4).count();
    let paired = ROWS - nothing - equal;
    assert_eq!(said["rows_with_pairs"], paired);
    assert_eq!(
        said["rows_without_pairs"],
        json!({"equal_scores": equal, "no_claims": nothing})
    );
    // (dog, dog and cat), (dog, cat and car), (dog and cat, cat and car): scores 0, -1, -2.
    assert_eq!(said["pairs"], 3 * paired);
    assert_eq!(said["candidates"], 3 * ROWS);
    assert_eq!(said["answers_this_run"]["replies"], 3 * ROWS);
    assert!(
        said["answers_this_run"]["retries"]
            .as_object()
            .unwrap()
            .len()
            >= 3,
        "{said}"
    );
    let pairs = lines(&out.join("preferences.jsonl"));
    let first = &pairs[0];
    assert_eq!(first["prompt"][0]["content"][0]["type"], "image");
    assert_eq!(
        first["images"],
        json!([folder.join("pictures/one.png").canonicalize().unwrap()])
    );
    assert_eq!(first["chosen"][0]["content"][0]["text"], "There is a dog.");
    assert_eq!(
        (&first["score_chosen"], &first["score_rejected"]),
        (&json!(0.0), &json!(-1.0))
    );
    assert_eq!(first["coverage_chosen"], 1);
    let claims = first["claims_rejected"].as_array().unwrap();
    let verdicts: Vec<(&str, &str)> = claims
        .iter()
        .map(|c| (c["claim"].as_str().unwrap(), c["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(verdicts, [("dog", "accepted"), ("cat", "rejected")]);
    // The row's own columns stay; what would be read as another answer has another name.
    assert_eq!(first["kind"], "k0");
    assert_eq!(first["chosen"].as_array().unwrap().len(), 1);
    assert_eq!(lines(&out.join("candidates.jsonl")).len(), 3 * ROWS);
    assert_eq!(lines(&out.join("skipped.jsonl")).len(), nothing + equal);
    let shown = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!shown.contains(KEY));
    for (path, content) in snapshot(folder) {
        assert!(
            !String::from_utf8_lossy(&content).contains(KEY),
            "{}",
            path.display()
        );
    }
    // Again: nothing is asked and nothing changes.
    let (before, whole) = (mock.seen().len(), files(&out));
    run(command(folder, &mock, &rest)).ok();
    assert_eq!(mock.seen().len(), before);
    assert!(files(&out) == whole);
}

fn journal_lines(out: &Path) -> usize {
    let count =
        |name| fs::read_to_string(out.join(name)).map_or(0, |text| text.matches('\n').count());
    count("answers.journal.jsonl") + count("judge.journal.jsonl")
}

/// Kills the command each time that its journals have grown, until it ends by itself.
fn kill_often(mut start: impl FnMut() -> Child, out: &Path, step: usize) -> usize {
    let mut kills = 0;
    loop {
        let goal = journal_lines(out) + step;
        let mut child = start();
        let begin = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.code().is_some_and(|code| code < 2), "{status}");
                break true;
            }
            if journal_lines(out) >= goal {
                break false;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "no progress");
            std::thread::sleep(Duration::from_millis(1));
        };
        if ended {
            return kills;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        if kills == 2 {
            // Half a line, as a power cut leaves it.
            let path = out.join("answers.journal.jsonl");
            let mut text = fs::read(&path).unwrap();
            text.extend(b"{\"key\":\"00");
            fs::write(&path, text).unwrap();
        }
    }
}

fn silent(mut command: Command) -> Child {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_process_writes_what_an_uninterrupted_one_does() {
    const ROWS: usize = 14;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, ROWS);
    let slow = |seen: &Seen, _| Act::Late(Duration::from_millis(5), says(seen));
    let mock = Mock::start(slow);
    let judged = |out: &str| {
        let judge = ["--judge", "endpoint", "--judge-endpoint", &mock.url];
        let rest = [&judge[..], &["--judge-api-model", "j", "--out", out]].concat();
        command(folder, &mock, &rest)
    };
    let kills = kill_often(|| silent(judged("killed")), &folder.join("killed"), 5);
    assert!(kills >= 5, "{kills}");
    let outcome = run(judged("whole")).ok();
    assert!(files(&folder.join("killed")) == files(&folder.join("whole")));
    let said = summary(&outcome);
    // Sentences are claims: a fine day and a dog are true of every picture.
    assert_eq!(said["claims"]["unanswered"], Value::Null);
    assert!(said["claims"]["rejected"].as_u64() > Some(0), "{said}");
    let scores: Vec<f64> = lines(&folder.join("whole/candidates.jsonl"))[..3]
        .iter()
        .map(|c| c["score"].as_f64().unwrap())
        .collect();
    assert_eq!(scores, [0.0, -1.0, -2.0]);
    // A verdict is asked for once, whatever answers claim the same.
    let verdicts = mock.seen().into_iter().filter(is_verdict).count();
    let claims =
        said["claims"]["accepted"].as_u64().unwrap() + said["claims"]["rejected"].as_u64().unwrap();
    assert!((verdicts as u64) < 2 * claims, "{verdicts} of {claims}");
}

fn local(folder: &Path, together: &str, rest: &[&str]) -> Command {
    let model = base_model().display().to_string();
    let mut args = vec!["data", "preferences", "--data", "rows.jsonl", "--json"];
    args.extend(["--model", &model, "--seed", "3", "--max-num-seqs", together]);
    args.extend(["--num-generations", "6", "--max-tokens", "12", "--keep-cut"]);
    args.extend(rest);
    let mut command = percept(&args);
    command.current_dir(folder);
    command
}

/// The embedded tiny model, killed at many moments: an answer depends on its row and number alone, not on what is
/// decoded beside it.
#[test]
fn a_local_model_that_is_killed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 8);
    let length =
        "{ name = \"length\", unit = \"characters\", max_length = 40, shape = \"linear\" }";
    let judge = [
        "--judge",
        "verifier",
        "--reward",
        length,
        "--min-gap",
        "0.05",
    ];
    let verified = |out: &str| local(folder, "4", &[&judge[..], &["--out", out]].concat());
    let kills = kill_often(|| silent(verified("killed")), &folder.join("killed"), 4);
    assert!(kills >= 2, "{kills}");
    let said = summary(&run(verified("whole")).ok());
    assert!(said["pairs"].as_u64() > Some(0), "{said}");
    assert!(files(&folder.join("killed")) == files(&folder.join("whole")));
    // The number of sequences decoded together changes nothing either.
    let rest = [&judge[..], &["--out", "alone"]].concat();
    run(local(folder, "1", &rest)).ok();
    assert!(files(&folder.join("alone")) == files(&folder.join("whole")));
}

#[test]
fn a_local_judge_is_asked_for_each_claim() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 3);
    let judge = base_model().display().to_string();
    let rest = [
        "--judge",
        "model",
        "--judge-model",
        &judge,
        "--out",
        "out/pairs.jsonl",
    ];
    let outcome = run(local(folder, "64", &rest));
    assert!(matches!(outcome.code, Some(0 | 1)), "{}", outcome.stderr);
    let said = summary(&outcome);
    let claims: u64 = said["claims"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert!(
        claims > 0 && said["judge_this_run"]["replies"].as_u64() > Some(0),
        "{said}"
    );
    let journal = lines(&folder.join("out/pairs.judge.journal.jsonl"));
    let first = journal[0]["reply"]["first_token"].as_array().unwrap();
    assert_eq!(first.len(), 20);
    let likely: Vec<f64> = first
        .iter()
        .map(|t| t["logprob"].as_f64().unwrap())
        .collect();
    assert!(
        likely.windows(2).all(|pair| pair[0] >= pair[1]) && likely[0] <= 0.0,
        "{likely:?}"
    );
}

#[test]
fn answers_that_are_missing_are_said_and_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 4);
    let refusing = |seen: &Seen, _: usize| match asked(seen) {
        (2, _) => Act::Status(
            400,
            "",
            r#"{"error": {"message": "image too small"}}"#.into(),
        ),
        _ => Act::Reply(says(seen)),
    };
    let rest = [&ANNOTATED[..], &["--out", "out"]].concat();
    let outcome = run(command(folder, &Mock::start(refusing), &rest));
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert_eq!(
        summary(&outcome)["rows_without_pairs"],
        json!({"failed": 1})
    );
    let skipped = lines(&folder.join("out/skipped.jsonl"));
    assert!(
        skipped[0]["detail"]
            .as_str()
            .unwrap()
            .contains("image too small"),
        "{skipped:?}"
    );
    let mock = Mock::start(|seen, _| Act::Reply(says(seen)));
    run(command(folder, &mock, &rest)).ok();
    assert!(mock.seen().iter().all(|seen| asked(seen).0 == 2));
    assert!(lines(&folder.join("out/skipped.jsonl")).is_empty());
}

/// COCO's files as annotations: rows name their picture by its number.
#[test]
fn annotations_of_coco_judge_pictures_by_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let png = png(56, 56);
    let rows = (1..=3).map(|id| {
        write(&folder.join(format!("COCO_{id:012}.png")), &png);
        json!({"prompt": format!("<image>{id}: describe it."), "images": [format!("COCO_{id:012}.png")]})
    });
    let rows: String = rows.map(|row| format!("{row}\n")).collect();
    write(&folder.join("rows.jsonl"), rows);
    let images: Vec<Value> = (1..=2)
        .map(|id| json!({"id": id, "file_name": format!("COCO_{id:012}.png"), "width": 1, "height": 1}))
        .collect();
    let coco = json!({
        "images": images,
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 18, "bbox": [0, 0, 1, 1], "area": 1, "iscrowd": 0, "segmentation": [[0, 0, 1, 0, 1, 1]]},
            {"id": 2, "image_id": 2, "category_id": 17, "bbox": [0, 0, 1, 1], "area": 1, "iscrowd": 0, "segmentation": [[0, 0, 1, 0, 1, 1]]},
        ],
        "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
    });
    write(&folder.join("instances.json"), coco.to_string());
    let mock = Mock::start(|seen, _| Act::Reply(says(seen)));
    let rest = [
        "--judge",
        "annotations",
        "--instances",
        "instances.json",
        "--out",
        "out",
    ];
    let said = summary(&run(command(folder, &mock, &rest)).ok());
    // Every answer to the second picture, a cat's, invents one thing.
    let without = json!({"equal_scores": 1, "no_annotation": 1});
    assert_eq!(said["rows_without_pairs"], without);
    let scores: Vec<Value> = lines(&folder.join("out/candidates.jsonl"))
        .iter()
        .map(|c| c["score"].clone())
        .collect();
    // The dog's picture, then the cat's, then one without annotation.
    assert_eq!(
        json!(scores),
        json!([0.0, -1.0, -2.0, -1.0, -1.0, -1.0, null, null, null])
    );
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    data(folder, 2);
    write(&folder.join("empty.jsonl"), "");
    write(&folder.join("broken.jsonl"), "{\"prompt\": 3}\n");
    write(&folder.join("words.txt"), "# nothing\n");
    write(&folder.join("half.json"), "{\"images\": [");
    write(&folder.join("foreign/answers.journal.jsonl"), "{}\n");
    write(&folder.join("file"), "");
    let mock = Mock::start(|seen, _| Act::Reply(says(seen)));
    let base = ["--out", "out"];
    let with = |rest: &[&str]| run(command(folder, &mock, &[&base[..], rest].concat()));
    let annotated = |rest: &[&str]| with(&[&ANNOTATED[..], rest].concat());
    let mut cases = Cases::default();
    let cases_of_options: [(&str, &[&str], &str); 22] = [
        (
            "one answer",
            &["--num-generations", "1"],
            "--num-generations is 1",
        ),
        (
            "no answers",
            &["--num-generations", "0"],
            "--num-generations is 0",
        ),
        ("greedy", &["--temperature", "0"], "greedy answers"),
        (
            "NaN temperature",
            &["--temperature", "NaN"],
            "--temperature NaN",
        ),
        ("no nucleus", &["--top-p", "0"], "--top-p 0"),
        ("wide nucleus", &["--top-p", "1.5"], "--top-p 1.5"),
        ("no tokens", &["--max-tokens", "0"], "--max-tokens is 0"),
        ("no gap", &["--min-gap", "0"], "--min-gap 0"),
        ("NaN gap", &["--min-gap", "NaN"], "--min-gap NaN"),
        ("empty stop", &["--stop", ""], "--stop"),
        ("share above one", &["--max-shortening", "1.2"], "off, auto"),
        ("share in words", &["--max-shortening", "much"], "off, auto"),
        (
            "foreign reward",
            &["--reward", "math"],
            "--reward is not an option",
        ),
        (
            "foreign judge",
            &["--judge-model", "x"],
            "--judge-model is not an option",
        ),
        ("claims by nobody", &["--claims", "model"], "--claims model"),
        (
            "questions by nobody",
            &["--questions", "model"],
            "--questions model",
        ),
        (
            "log-probabilities of nobody",
            &["--no-judge-logprobs"],
            "--no-judge-logprobs",
        ),
        (
            "two kinds of objects",
            &["--instances", "half.json"],
            "--instances",
        ),
        ("no words", &["--words", "none.txt"], "none.txt"),
        (
            "words without a class",
            &["--words", "words.txt"],
            "names no class",
        ),
        ("no such choice", &["--pairs", "worst"], "best-worst"),
        ("extra body", &["--extra-body", "[]"], "--extra-body"),
    ];
    for (name, rest, word) in cases_of_options {
        cases.refused(name, &annotated(rest), &[word]);
    }
    let judges: [(&str, &[&str], &str); 9] = [
        ("no judge", &[], "--judge"),
        ("unknown judge", &["--judge", "me"], "annotations"),
        (
            "annotations of nothing",
            &["--judge", "annotations"],
            "--objects COLUMN",
        ),
        (
            "half a file",
            &["--judge", "annotations", "--instances", "half.json"],
            "half.json",
        ),
        ("no verifier", &["--judge", "verifier"], "--reward NAME"),
        (
            "unknown verifier",
            &["--judge", "verifier", "--reward", "x"],
            "x",
        ),
        ("no model", &["--judge", "model"], "--judge-model DIR"),
        (
            "no endpoint",
            &["--judge", "endpoint"],
            "--judge-endpoint URL",
        ),
        (
            "an endpoint without a name",
            &[
                "--judge",
                "endpoint",
                "--judge-endpoint",
                "http://localhost:9",
            ],
            "--judge-api-model",
        ),
    ];
    for (name, rest, word) in judges {
        cases.refused(name, &with(rest), &[word]);
    }
    let tie = [
        "--judge",
        "verifier",
        "--reward",
        "math",
        "--tie-break",
        "coverage",
    ];
    cases.refused(
        "a tie without objects",
        &with(&tie),
        &["--tie-break coverage"],
    );
    for (name, file, word) in [
        ("no file", "none.jsonl", "none.jsonl"),
        ("no row", "empty.jsonl", "empty.jsonl"),
        ("no readable row", "broken.jsonl", "none of 1 rows"),
    ] {
        let mut args = vec!["data", "preferences", "--data", file, "--out", "out"];
        args.extend(["--endpoint", &mock.url, "--api-model", "m"]);
        args.extend(ANNOTATED);
        let mut command = percept(&args);
        command.current_dir(folder);
        cases.refused(name, &run(command), &[word]);
    }
    cases.holds("all", "nothing was sent", mock.seen().is_empty());
    let mut to = |name: &str, out: &str, word: &str| {
        let rest = [&ANNOTATED[..], &["--out", out]].concat();
        cases.refused(name, &run(command(folder, &mock, &rest)), &[word]);
    };
    to("a foreign journal", "foreign", "answers.journal.jsonl:1");
    to("a file for a folder", "file", "file");
    cases.finish();
}

/// Rows that no judge can use are counted, and the others are paired.
#[test]
fn rows_without_a_picture_annotation_or_question_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows = [
        json!({"prompt": "0: describe it.", "seen": ["dog"]}),
        json!({"prompt": "1: describe it."}),
        json!({"prompt": "2: describe it.", "seen": {"dog": 1}}),
        json!({"prompt": 3}),
        json!({"prompt": "5: describe it.", "seen": "dog, unicorn"}),
        json!({"prompt": "<image>7: describe it.", "images": ["none.png"], "seen": ["dog"]}),
    ];
    let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
    write(&folder.join("rows.jsonl"), rows);
    let mock = Mock::start(|seen, _| Act::Reply(says(seen)));
    let rest = [&ANNOTATED[..], &["--out", "out"]].concat();
    let outcome = run(command(folder, &mock, &rest));
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let said = summary(&outcome);
    let expected = json!({"failed": 1, "no_annotation": 2, "unreadable": 1});
    assert_eq!(said["rows_without_pairs"], expected, "{said}");
    assert_eq!(said["rows_with_pairs"], 2);
    let details: String = lines(&folder.join("out/skipped.jsonl"))
        .iter()
        .map(Value::to_string)
        .collect();
    for word in ["seen", "none.png", "rows.jsonl:4"] {
        assert!(details.contains(word), "{word}: {details}");
    }
}
