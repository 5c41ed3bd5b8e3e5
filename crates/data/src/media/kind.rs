//! Kinds of picture files, by their first bytes.

/// The media type (`image/png`, …) of an encoded picture that browsers and endpoints read; none for other data.
///
/// ```
/// assert_eq!(percept_data::media_type(b"GIF89a"), Some("image/gif"));
/// assert_eq!(percept_data::media_type(b"II*\0"), None, "browsers show no TIFF");
/// ```
pub fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'B', b'M', ..] => Some("image/bmp"),
        [b'R', b'I', b'F', b'F', _, _, _, _, rest @ ..] if rest.starts_with(b"WEBP") => {
            Some("image/webp")
        }
        _ => None,
    }
}
