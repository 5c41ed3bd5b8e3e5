//! Rows as lines of JSON.

use serde::Serialize;

/// Rows one a line.
pub fn lines<T: Serialize>(rows: &[T]) -> Vec<u8> {
    rows.iter().flat_map(line).collect()
}

/// One row.
pub fn line<T: Serialize>(row: &T) -> Vec<u8> {
    // Rows have string keys and finite numbers: they always are JSON.
    let mut text = serde_json::to_vec(row).unwrap_or_default();
    text.push(b'\n');
    text
}
