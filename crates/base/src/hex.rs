//! Hashes as text.

/// Bytes in lower-case hexadecimal.
///
/// ```
/// assert_eq!(percept_base::hex(&[0, 0xab]), "00ab");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
