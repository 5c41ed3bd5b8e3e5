//! The rows that are asked.

use percept_chat::{ChatRequest, Turn};
use percept_data::Dataset;

/// A row: its name, and why it cannot be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name; `row N` where it cannot be read.
    pub id: String,
    /// Why it cannot be asked.
    pub unreadable: Option<String>,
}

/// Reads the first `limit` rows (0: all) once, so that none that cannot be read is asked for.
pub fn open_rows(data: &dyn Dataset, limit: usize) -> Vec<Row> {
    let count = match limit {
        0 => data.len(),
        limit => limit.min(data.len()),
    };
    let open = |at: usize| match data.get(at) {
        Err(error) => Row {
            id: format!("row {}", at + 1),
            unreadable: Some(error.to_string()),
        },
        Ok(sample) => {
            let asks = !ChatRequest::of(&sample, Turn::default()).turns().is_empty();
            let nothing = || format!("{}: no turn of a user to answer", sample.id);
            Row {
                unreadable: (!asks).then(nothing),
                id: sample.id,
            }
        }
    };
    (0..count).map(open).collect()
}
