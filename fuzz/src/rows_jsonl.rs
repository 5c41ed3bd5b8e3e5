//! JSONL rows: each row is read or refused, as often as it is asked for, with the same result.

/// Pieces of rows.
pub const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\"",
    "{\"prompt\": \"1+1\", \"answer\": \"2\"}\n",
    "\"prompt\"",
    "\"messages\"",
    "\"role\"",
    "\"user\"",
    "\"assistant\"",
    "\"content\"",
    "\"type\"",
    "\"image\"",
    "\"images\"",
    "\"videos\"",
    "\"<image>\"",
    "\"answer\"",
    "\"solution\"",
    "\"reward_model\"",
    "\"ground_truth\"",
    "\"bytes\"",
    "\"data:image/png;base64,iVBORw0KGgo=\"",
    "null",
    "true",
    "-1",
    "1e999",
    "\\u0000",
    "\\ud800",
    "\r\n",
    "  ",
];

/// Reads the data as a file of rows.
pub fn fuzz(data: &[u8]) {
    crate::files::read_rows("rows.jsonl", data);
}
