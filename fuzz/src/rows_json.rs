//! The scanner of JSON arrays: the rows it finds are those of a JSON parser.

/// Pieces of arrays.
pub const PIECES: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    " ",
    "\n",
    "\"",
    "\\",
    "\\\"",
    "\"a\"",
    "\"prompt\": \"1+1\"",
    "{\"prompt\": \"1\"}",
    "{\"prompt\": \"]}\"},",
    "[[",
    "]]",
    "1",
    "null",
    "\\u005d",
    "\u{feff}",
];

/// Reads the data as a JSON file; what a JSON parser takes for an array of objects has as many
/// rows.
pub fn fuzz(data: &[u8]) {
    let rows = crate::files::read_rows("rows.json", data);
    let parsed = serde_json::from_slice::<Vec<serde_json::Map<String, serde_json::Value>>>(data);
    if let Ok(parsed) = parsed
        && !parsed.is_empty()
    {
        assert_eq!(rows, Some(parsed.len()));
    }
}
