//! Integers that no machine word holds, kept digit for digit.

use std::borrow::Cow;

/// JSON in which every integer beyond 64 bits stands in quotes: read as a number it would lose digits.
pub(crate) fn quoted(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    let mut in_text = false;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            b'-' | b'0'..=b'9' if !in_text => {
                let end = number_end(bytes, at);
                let number = &json[at..end];
                if too_long(number) {
                    out.push_str(&json[copied..at]);
                    out.push('"');
                    out.push_str(number);
                    out.push('"');
                    copied = end;
                }
                at = end.max(at + 1);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(&json[copied..]);
    Cow::Owned(out)
}

fn number_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes[start..].iter();
    let len = rest
        .take_while(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'))
        .count();
    start + len
}

fn too_long(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.len() > 18
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0')
        && number.parse::<i64>().is_err()
        && number.parse::<u64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integers_beyond_64_bits_are_quoted() {
        for same in [
            r#"{"a": 18446744073709551615, "b": -9223372036854775808}"#,
            r#"{"a": "123456789012345678901234 \" 123456789012345678901234"}"#,
            r#"{"a": 1234567890123456789012.5, "b": 1e400, "c": [1, 2]}"#,
            "-",
        ] {
            assert!(matches!(quoted(same), Cow::Borrowed(_)), "{same}");
        }
        assert_eq!(
            quoted(r#"{"a": 18446744073709551616, "b": [-9223372036854775809, 1]}"#),
            r#"{"a": "18446744073709551616", "b": ["-9223372036854775809", 1]}"#
        );
    }
}
