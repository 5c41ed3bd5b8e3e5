//! Files as pyarrow and Python's json write them, one per convention, against what
//! `tools/data_fixtures.py` says that they mean.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use percept_data::{ColumnMap, Dataset, FileDataset, Media, Message, Part, Sample};
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn open(names: &[&str]) -> FileDataset {
    let paths: Vec<PathBuf> = names.iter().map(|name| fixture(name)).collect();
    FileDataset::open(&paths, &ColumnMap::default(), None).unwrap()
}

fn expected() -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    match serde_json::from_str(&text).unwrap() {
        Value::Object(files) => files,
        other => panic!("{other}"),
    }
}

/// Turns as `expected.json` has them.
fn turns(messages: &[Message]) -> Vec<Value> {
    let turns = messages.iter().map(|message| {
        let mut text = String::new();
        for part in &message.content {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Image(index) => write!(text, "⟨image {index}⟩").unwrap(),
                Part::Video(index) => write!(text, "⟨video {index}⟩").unwrap(),
            }
        }
        json!([message.role.as_str(), text])
    });
    turns.collect()
}

fn hashes(images: &[Media]) -> Vec<String> {
    let hashes = images.iter().map(|image| {
        image.decode().unwrap();
        let hash = image.hash().unwrap();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    });
    hashes.collect()
}

/// A sample in the form of `expected.json`.
fn outline(sample: &Sample) -> Value {
    let mut meta: Vec<&String> = sample.meta.keys().collect();
    meta.sort();
    let mut outline = json!({
        "turns": turns(&sample.messages), "images": hashes(&sample.images), "answer": sample.answer,
        "expert": sample.expert, "meta": meta,
    });
    if let Some(pair) = &sample.preference {
        let rejected = pair.rejected.iter().map(|answer| turns(answer));
        let pictures = pair.rejected_images.iter().map(|set| hashes(set));
        outline["chosen"] = turns(&pair.chosen).into();
        outline["rejected"] = rejected.collect();
        outline["rejected_images"] = pictures.collect();
    }
    outline
}

#[test]
fn every_convention_reads_as_it_is_meant() {
    let mut wrong = Vec::new();
    for (name, rows) in expected() {
        let data = open(&[name.as_str()]);
        let rows = rows.as_array().unwrap();
        assert_eq!(data.len(), rows.len(), "{name}");
        for (i, row) in rows.iter().enumerate() {
            match data.get(i) {
                Ok(sample) if outline(&sample) == *row => {}
                Ok(sample) => {
                    wrong.push(format!("{name}:{}\n {row}\n {}", i + 1, outline(&sample)))
                }
                Err(error) => wrong.push(format!("{error}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn many_files_are_one_data_set_from_any_thread_in_any_order() {
    let names = [
        "verl.parquet",
        "trl.jsonl",
        "verl_old.parquet",
        "easy_r1.json",
    ];
    let data = open(&names);
    let expected = expected();
    let rows: Vec<&Value> = names
        .iter()
        .flat_map(|name| expected[*name].as_array().unwrap())
        .collect();
    assert_eq!(data.len(), rows.len());
    std::thread::scope(|scope| {
        for step in [1, 5, 11] {
            let (data, rows) = (&data, &rows);
            scope.spawn(move || {
                for i in (0..3 * rows.len()).map(|i| i * step % rows.len()) {
                    assert_eq!(outline(&data.get(i).unwrap()), *rows[i]);
                }
            });
        }
    });
    assert_eq!(data.get(7).unwrap().id, "trl.jsonl:1");
}

#[test]
fn what_no_convention_uses_is_kept() {
    let data = open(&["odd.parquet"]);
    let meta = data.get(0).unwrap().meta;
    for (name, value) in [
        ("single", json!(0.1)),
        ("half", json!(0.5)),
        ("bad", json!(null)),
        ("small", json!([1, 2])),
        ("fixed", json!([1.0, 2.0])),
        ("big", json!(u64::MAX)),
        ("map", json!({"k": 1})),
        ("blob", json!("<2 bytes>")),
        ("money", json!("1.25")),
        ("deep", json!({"a": [{"b": [[1]]}]})),
    ] {
        assert_eq!(meta[name], value, "{name}");
    }
    assert!(meta["day"].as_str().unwrap().starts_with("2024-05-06"));
    assert!(
        meta["micro"]
            .as_str()
            .unwrap()
            .starts_with("2024-05-06 07:08:09")
    );
}

/// `PERCEPT_ROWS=file cargo test --release -p percept-data --test fixtures -- --ignored --nocapture`
#[test]
#[ignore = "measures; needs a large file"]
fn rows_per_second() {
    let path = PathBuf::from(std::env::var("PERCEPT_ROWS").unwrap());
    // Each order opens the file anew, so that none profits from the rows another has cached.
    for (what, stride) in [("in order", 1), ("scattered", 7919)] {
        let start = std::time::Instant::now();
        let paths = std::slice::from_ref(&path);
        let data = FileDataset::open(paths, &ColumnMap::default(), None).unwrap();
        let opened = start.elapsed().as_secs_f64();
        let len = data.len().min(20_000);
        let start = std::time::Instant::now();
        for i in 0..len {
            data.get(i * stride % data.len()).unwrap();
        }
        let rate = len as f64 / start.elapsed().as_secs_f64();
        println!("{what}: opened in {opened:.3} s, {rate:.0} rows/s");
    }
}
