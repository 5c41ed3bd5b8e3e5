//! The files of a data set and of a run.

use std::path::{Path, PathBuf};

use super::error::CausalError;
use super::names::original_of;
use super::question::{Answered, Question};

/// The questions of a data set folder (`qa.json`), or of such a file.
///
/// # Errors
/// [`CausalError`] for a file that is unreadable, not of this form, empty, or has a number twice.
pub fn questions(path: &Path) -> Result<Vec<Question>, CausalError> {
    let path = match path.is_dir() {
        true => path.join("qa.json"),
        false => path.to_path_buf(),
    };
    let bytes = std::fs::read(&path).map_err(|source| CausalError::Io {
        path: path.clone(),
        source,
    })?;
    let rows: Vec<Question> =
        serde_json::from_slice(&bytes).map_err(|source| CausalError::Format {
            path: path.clone(),
            source,
            expected: "a list of {id, image_name, q, type: target|inpaint|absent, tag: \
                       origin|inpainted, answer: yes|no}",
        })?;
    if rows.is_empty() {
        return Err(CausalError::Empty { path });
    }
    let mut seen = std::collections::HashSet::new();
    for row in &rows {
        // The authors' code keeps the last of them without a word.
        if !seen.insert((original_of(&row.image_name), row.id)) {
            return Err(CausalError::Twice {
                path,
                id: row.id,
                image: row.image_name.clone(),
            });
        }
    }
    Ok(rows)
}

/// The answers of a run: `records.jsonl`, one [`Answered`] a line.
///
/// # Errors
/// [`CausalError`] with the line that is not one.
pub fn records(path: &Path) -> Result<Vec<Answered>, CausalError> {
    let text = std::fs::read_to_string(path).map_err(|source| CausalError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|source| CausalError::Format {
                path: PathBuf::from(format!("{}:{}", path.display(), number + 1)),
                source,
                expected: "a record that `percept eval causal-halbench` wrote",
            })
        })
        .collect()
}
