//! Files as pyarrow and Python's json write them, one per convention, against what
//! `tools/data_fixtures.py` says that they mean.

#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use percept_data::{ColumnMap, Dataset, FileDataset, Part, Sample};
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

/// A sample in the form of `expected.json`.
fn outline(sample: &Sample) -> Value {
    let turns: Vec<Value> = sample
        .messages
        .iter()
        .map(|message| {
            let mut text = String::new();
            for part in &message.content {
                match part {
                    Part::Text(piece) => text.push_str(piece),
                    Part::Image(index) => write!(text, "⟨image {index}⟩").unwrap(),
                    Part::Video(index) => write!(text, "⟨video {index}⟩").unwrap(),
                }
            }
            json!([message.role.as_str(), text])
        })
        .collect();
    let images: Vec<String> = sample
        .images
        .iter()
        .map(|image| {
            image.decode().unwrap();
            let hash = image.hash().unwrap();
            hash.iter().map(|byte| format!("{byte:02x}")).collect()
        })
        .collect();
    let mut meta: Vec<&String> = sample.meta.keys().collect();
    meta.sort();
    json!({
        "turns": turns, "images": images, "answer": sample.answer, "expert": sample.expert,
        "meta": meta,
    })
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
