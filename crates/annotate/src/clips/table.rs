//! Pairs named by a table: `path_A,path_B,prompt,…` as in VideoGen-RewardBench; CSV, TSV, JSONL, JSON or Parquet.

use std::path::{Path, PathBuf};

use percept_data::{Error as DataError, RawRows};
use serde_json::{Map, Value};

use crate::clips::pair::{ClipOf, ClipPair, Clips};
use crate::clips::source::ClipSource;
use crate::error::Error;

pub(super) fn find(source: &ClipSource) -> Result<Clips, Error> {
    let table = &source.path;
    let rows = RawRows::open(table, table)?;
    let folder = table.parent().unwrap_or(Path::new(""));
    let mut clips = Clips::default();
    for at in 0..rows.len() {
        let number = rows.number(at);
        let row = rows.get(at)?;
        let read =
            |column: &'static str| text(&row, column).map_err(|error| error.at(table, number));
        let clip = |column: &'static str, model: &str| -> Result<ClipOf, DataError> {
            Ok(ClipOf {
                path: folder.join(read(column)?),
                model: row.get(model).and_then(Value::as_str).map(str::to_owned),
            })
        };
        let pair = ClipPair {
            id: format!("{number:05}"),
            prompt: read("prompt")?.to_owned(),
            a: clip("path_A", "A_model")?,
            b: clip("path_B", "B_model")?,
        };
        let missing = |path: &PathBuf| !path.exists();
        let Some((column, clip)) = [("path_A", &pair.a), ("path_B", &pair.b)]
            .into_iter()
            .find(|(_, clip)| missing(&clip.path))
        else {
            clips.pairs.push(pair);
            continue;
        };
        let error = DataError::row(format!("the clip {} does not exist", clip.path.display()))
            .at(table, number)
            .field(column)
            .help("paths are relative to the table; --skip-missing leaves such pairs out");
        if !source.skip_missing {
            return Err(error.into());
        }
        clips.skipped.push(error.to_string());
    }
    Ok(clips)
}

fn text<'r>(row: &'r Map<String, Value>, column: &str) -> Result<&'r str, DataError> {
    let found = row.get(column);
    let text = found.and_then(Value::as_str).map(str::trim);
    text.filter(|text| !text.is_empty()).ok_or_else(|| {
        // Empty cells are not in the row.
        let names: Vec<&str> = row.keys().map(String::as_str).collect();
        DataError::row("no text in this column")
            .field(column)
            .found(format!("text in {}", names.join(", ")))
            .expected("path_A, path_B and prompt")
    })
}
