//! Parquet bytes: files with damage are read or refused.

/// The kinds of damage: see [`fuzz`].
pub const PIECES: &[&str] = &[
    "\u{0}",
    "\u{1}",
    "\u{7f}",
    "a",
    "\u{80}",
    "\u{7ff}",
    "PAR1",
    "\u{3}\u{2}\u{1}",
];

/// A small file of verl's columns.
const GOOD: &[u8] = include_bytes!("../../crates/data/tests/fixtures/verl_text.parquet");

/// Reads the data itself, and a good file in which each three bytes of the data change one: where
/// (two bytes, counted from the end, where the metadata are) and to what.
pub fn fuzz(data: &[u8]) {
    crate::files::read_rows("rows.parquet", data);
    let mut damaged = GOOD.to_vec();
    for change in data.chunks_exact(3) {
        let back = usize::from(u16::from_le_bytes([change[0], change[1]])) % damaged.len();
        let at = damaged.len() - 1 - back;
        damaged[at] = change[2];
    }
    crate::files::read_rows("rows.parquet", &damaged);
    let cut = data
        .first()
        .map_or(0, |&byte| usize::from(byte) * damaged.len() / 256);
    crate::files::read_rows("rows.parquet", &GOOD[..cut]);
}
