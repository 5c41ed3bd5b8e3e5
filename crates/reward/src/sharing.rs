//! Rows that share the value of a column: the two frames of a pair, the views of one scene.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// What a row has in a column, as text; none where it has nothing there. The number 7 and the text `7` are one value.
pub fn shared_value(row: &Map<String, Value>, column: &str) -> Option<String> {
    match row.get(column)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Places of the rows that share a value of `column`, in the order of their first rows. A row without a value shares it
/// with nobody.
///
/// ```
/// let row = |pair: &str| serde_json::json!({"pair_id": pair}).as_object().cloned().unwrap_or_default();
/// let rows = [row("a"), row("b"), row("a")];
/// assert_eq!(percept_reward::rows_that_share("pair_id", &rows), [vec![0, 2], vec![1]]);
/// ```
pub fn rows_that_share<'a>(
    column: &str,
    rows: impl IntoIterator<Item = &'a Map<String, Value>>,
) -> Vec<Vec<usize>> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut found: Vec<Vec<usize>> = Vec::new();
    for (place, row) in rows.into_iter().enumerate() {
        let Some(value) = shared_value(row, column) else {
            found.push(vec![place]);
            continue;
        };
        let bundle = *known.entry(value).or_insert(found.len());
        match found.get_mut(bundle) {
            Some(places) => places.push(place),
            None => found.push(vec![place]),
        }
    }
    found
}
