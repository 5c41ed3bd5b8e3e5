//! `percept eval causal-halbench` against a server that fails in every way, from its records, and compared.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../chat/tests/mock/mod.rs"]
mod mock;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{Outcome, percept, run, snapshot, write};
use mock::{Act, Mock};
use serde_json::{Value, json};

const KEY: &str = "sk-never-to-be-seen";
const ORIGINALS: usize = 144;

/// 144 originals with an edit each, seven questions a pair. The text tells the server which picture is
/// asked about; pixels differ, so that no two requests are equal.
fn data_set(folder: &Path) {
    let mut rows: Vec<Value> = Vec::new();
    for original in 0..ORIGINALS {
        let (name, edited) = (
            format!("p{original:03}x.png"),
            format!("p{original:03}x_001.png"),
        );
        for (index, file) in [&name, &edited].into_iter().enumerate() {
            let mut pixels = image::RgbImage::new(4, 4);
            pixels.put_pixel(0, 0, image::Rgb([original as u8, index as u8, 7]));
            let path = folder.join("images").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            pixels.save(path).unwrap();
        }
        let asked = [
            (&name, "cup", "target", "origin", "yes"),
            (&name, "kite", "absent", "origin", "no"),
            (&name, "bus", "absent", "origin", "no"),
            (&edited, "cup", "target", "inpainted", "yes"),
            (&edited, "bear", "inpaint", "inpainted", "yes"),
            (&edited, "kite", "absent", "inpainted", "no"),
            (&edited, "bus", "absent", "inpainted", "no"),
        ];
        for (file, object, kind, tag, answer) in asked {
            let q = format!("Is there a {object} in the image?");
            rows.push(
                json!({"id": rows.len(), "image_name": file, "q": q, "type": kind, "tag": tag,
                "answer": answer}),
            );
        }
    }
    write(&folder.join("qa.json"), Value::from(rows).to_string());
}

fn eval(folder: &Path, args: &[&str]) -> Outcome {
    let mut command = percept(&[&["eval", "causal-halbench"], args].concat());
    command.current_dir(folder).env("PERCEPT_API_KEY", KEY);
    run(command)
}

/// Says yes to cups and bears, no to the rest, and misbehaves first, each way in turn.
fn server() -> Mock {
    Mock::start(|seen, attempt| {
        let question = seen.question();
        let answer = match question.contains("cup") || question.contains("bear") {
            true => "Yes, it is there.".to_owned(),
            false => "No.".to_owned(),
        };
        let fate = seen
            .body
            .to_string()
            .bytes()
            .map(usize::from)
            .sum::<usize>()
            % 12;
        match (attempt, fate) {
            (0, 0) => Act::Status(429, "retry-after: 0\r\n", "{}".into()),
            (0, 1) => Act::Status(500, "", "{}".into()),
            (0, 2) => Act::Late(Duration::from_millis(60), answer),
            (0, 3) => Act::Truncate(answer),
            (0, 4) => Act::Malformed,
            (0, 5) => Act::Drop,
            (0, 6) => Act::TruncateChunked(answer),
            _ => Act::Reply(answer),
        }
    })
}

#[test]
fn a_thousand_questions_survive_a_server_that_fails_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    data_set(at);
    let server = server();
    let ask = [
        "--data",
        ".",
        "--endpoint",
        &server.url,
        "--api-model",
        "m",
        "--max-concurrency",
        "16",
        "--retry-pause",
        "0.002",
        "--output",
        "run",
        "--json",
    ];
    let done = eval(at, &ask).ok();
    let line: Value = serde_json::from_str(done.stdout.trim()).unwrap();
    let mean = |name: &str| line["metrics"][name]["mean"].as_f64().unwrap();
    assert_eq!([mean("cac"), mean("aac"), mean("chr")], [0.0, 0.0, 0.0]);
    assert_eq!(line["metrics"]["questions"], 7 * ORIGINALS);
    assert!(server.most_busy() > 4 && server.most_busy() <= 16);

    // Nothing lost, nothing doubled: one record a question, and one good answer a request.
    let records = fs::read_to_string(at.join("run/records.jsonl")).unwrap();
    let mut count: BTreeMap<u64, usize> = BTreeMap::new();
    for line in records.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        *count.entry(record["id"].as_u64().unwrap()).or_default() += 1;
        assert_eq!(record["parsed"], record["answer"]);
    }
    assert_eq!(count.len(), 7 * ORIGINALS);
    assert!(count.values().all(|&times| times == 1));

    // Again: every answer comes from the file.
    let asked = server.seen().len();
    eval(at, &ask).ok();
    assert_eq!(server.seen().len(), asked);
    for (path, bytes) in snapshot(at) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(KEY), "the key is in {}", path.display());
    }
}

#[test]
fn records_are_counted_again_and_runs_compared() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    data_set(at);
    let rows: Vec<Value> = serde_json::from_slice(&fs::read(at.join("qa.json")).unwrap()).unwrap();
    // One model looks; the other denies what is unexpected, in words that hold a "yes".
    for (name, denies) in [("looks", "Yes"), ("denies", "I have no eyes for that")] {
        let lines: Vec<String> = rows
            .iter()
            .map(|row| {
                let response = match (
                    row["type"].as_str().unwrap(),
                    row["answer"].as_str().unwrap(),
                ) {
                    ("inpaint", _) => denies,
                    (_, "yes") => "Yes",
                    _ => "No",
                };
                let mut record = row.clone();
                record["response"] = response.into();
                record["parsed"] = "no".into();
                record.to_string()
            })
            .collect();
        write(&at.join(format!("{name}.jsonl")), lines.join("\n"));
        let records = format!("{name}.jsonl");
        let args = [
            "--data",
            ".",
            "--records",
            &records,
            "--parser",
            "vlmevalkit",
            "--output",
            name,
        ];
        let shown = eval(at, &args).ok().stdout;
        assert!(
            shown.contains("*vlmevalkit") && shown.contains("CHR"),
            "{shown}"
        );
    }
    let summary: Value =
        serde_json::from_slice(&fs::read(at.join("denies/summary.json")).unwrap()).unwrap();
    // The authors' rule takes "eyes" for a yes.
    assert_eq!(summary["parsers"]["original"]["chr"]["mean"], 0.0);
    assert_eq!(summary["parsers"]["vlmevalkit"]["chr"]["mean"], 1.0);
    assert_eq!(summary["by_pair"][0]["name"], "cup → bear");
    let report = fs::read_to_string(at.join("denies/report.html")).unwrap();
    assert!(report.contains("data:image/jpeg;base64,") && report.contains("p000x_001.png"));
    assert!(!report.contains("src=\"http") && !report.contains("<script src"));

    let compared = eval(at, &["--compare", "looks", "denies", "--json"])
        .ok()
        .stdout;
    let lines: Vec<Value> = compared
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines[2]["metric"], "CHR");
    assert_eq!(lines[2]["difference"]["mean"], 1.0);
    assert!(lines[2]["mcnemar_p"].as_f64().unwrap() < 1e-9);
    assert_eq!(lines[0]["difference"]["mean"], 0.0);
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    data_set(at);
    let refused = |args: &[&str], words: &[&str]| {
        let outcome = eval(at, args);
        assert_ne!(outcome.code, Some(0), "{args:?}");
        for word in words {
            assert!(outcome.stderr.contains(word), "{}", outcome.stderr);
        }
    };
    refused(&["--data", "."], &["--model", "--endpoint"]);
    refused(&["--data", "nowhere", "--records", "r"], &["nowhere"]);
    write(&at.join("r.jsonl"), "");
    refused(
        &["--data", ".", "--records", "r.jsonl"],
        &["r.jsonl", "question 0"],
    );
    write(&at.join("r.jsonl"), "{}\n");
    refused(&["--data", ".", "--records", "r.jsonl"], &["r.jsonl:1"]);
    fs::remove_file(at.join("images/p000x.png")).unwrap();
    refused(
        &[
            "--data",
            ".",
            "--endpoint",
            "http://127.0.0.1:9",
            "--api-model",
            "m",
        ],
        &["p000x.png"],
    );
}

#[test]
fn the_causal_model_tells_who_looks_from_who_follows_company() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // 100 pictures: cats and beds together, each alone, neither (a lamp and a cup).
    let kinds: [(&[usize], usize); 4] = [(&[1, 2], 40), (&[1], 20), (&[2], 20), (&[3, 4], 20)];
    let (mut images, mut annotations, mut rows) =
        (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
    for (classes, count) in kinds {
        for _ in 0..count {
            let id = images.len();
            let name = format!("photos_{id}.png");
            // As `halbench build` names PNG copies of the pictures of a folder.
            let file = format!("photos/{id}.jpg");
            images.push(json!({"id": id, "file_name": file, "width": 8, "height": 8}));
            for class in classes {
                annotations.push(json!({"id": annotations.len() + 1, "image_id": id, "category_id": class,
                    "bbox": [0, 0, 4, 4], "area": 16.0, "iscrowd": 0, "segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]]}));
            }
            let (cat, bed) = (classes.contains(&1), classes.contains(&2));
            for (rows, yes) in rows.iter_mut().zip([cat, bed]) {
                // Every tenth answer is a slip.
                let said = if yes != (id % 10 == 0) { "yes" } else { "no" };
                rows.push(
                    json!({"image": name, "text": "Is there a cat in the image?",
                    "parsed": {"original": said, "lmms": null}})
                    .to_string(),
                );
            }
        }
    }
    let categories = json!([{"id": 1, "name": "cat"}, {"id": 2, "name": "bed"}, {"id": 3, "name": "lamp"},
        {"id": 4, "name": "cup"}]);
    let all = json!({"images": images, "annotations": annotations, "categories": categories});
    write(&at.join("instances.json"), all.to_string());
    let effects = ["looks", "follows"].map(|name| {
        let rows = &rows[usize::from(name == "follows")];
        write(&at.join(format!("{name}.jsonl")), rows.join("\n"));
        let records = format!("{name}.jsonl");
        let args = [
            "halbench",
            "scm",
            "--records",
            &records,
            "--annotations",
            "instances.json",
            "--output",
            name,
            "--json",
        ];
        let mut command = percept(&args);
        command.current_dir(at);
        let line: Value = serde_json::from_str(run(command).ok().stdout.trim()).unwrap();
        let page = fs::read_to_string(at.join(name).join("scm.html")).unwrap();
        assert!(page.contains("<svg") && page.contains("cat") && !page.contains("src=\"http"));
        ["company_on_answer", "presence_on_answer"]
            .map(|effect| line["scm"][effect]["low"].as_f64().unwrap())
    });
    let [
        [looks_company, looks_presence],
        [follows_company, follows_presence],
    ] = effects;
    assert!(
        looks_company < 1.0 && looks_presence > 5.0,
        "{looks_company} {looks_presence}"
    );
    assert!(
        follows_company > 5.0 && follows_presence < 1.0,
        "{follows_company} {follows_presence}"
    );

    write(&at.join("bad.jsonl"), "{\"image\": \"1.png\"}\n");
    let mut command = percept(&[
        "halbench",
        "scm",
        "--records",
        "bad.jsonl",
        "--annotations",
        "instances.json",
    ]);
    command.current_dir(at);
    let outcome = run(command);
    assert!(
        outcome.code != Some(0) && outcome.stderr.contains("bad.jsonl:1"),
        "{}",
        outcome.stderr
    );
}
