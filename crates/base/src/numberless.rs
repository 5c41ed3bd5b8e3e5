//! Messages that differ in numbers alone are one message.

/// The first `most` characters of a text with every number written as `#`: *row 7 failed* and *row 12 failed* say the
/// same.
///
/// ```
/// assert_eq!(percept_base::without_numbers("row 12 of a7", 80), "row # of a#");
/// ```
pub fn without_numbers(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for c in text.chars().take(most) {
        match c {
            _ if !c.is_ascii_digit() => out.push(c),
            _ if out.ends_with('#') => {}
            _ => out.push('#'),
        }
    }
    out
}
