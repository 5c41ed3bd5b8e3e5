//! Base64 as it is found in the wild: in lines of 76 letters, in either alphabet, with or without its end.

use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};

/// The bytes of a base64 text. White space inside is skipped; percent signs of a URL are undone.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let mut letters: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    if letters.contains(&b'%') {
        letters = unescaped(&letters);
    }
    let alphabet = match letters.iter().any(|byte| matches!(byte, b'-' | b'_')) {
        true => &URL_SAFE,
        false => &STANDARD,
    };
    GeneralPurpose::new(alphabet, lenient).decode(letters)
}

/// `%2B` as `+`.
fn unescaped(letters: &[u8]) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut out = Vec::with_capacity(letters.len());
    let mut at = 0;
    while at < letters.len() {
        let digits = letters.get(at + 1..at + 3).filter(|_| letters[at] == b'%');
        match digits.and_then(|pair| Some(hex(pair[0])? * 16 + hex(pair[1])?)) {
            Some(byte) => {
                out.push(byte as u8);
                at += 3;
            }
            None => {
                out.push(letters[at]);
                at += 1;
            }
        }
    }
    out
}
