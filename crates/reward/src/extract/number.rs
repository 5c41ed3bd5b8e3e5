//! The last number of a text.

/// The last number in the text, with its sign; a fraction of two numbers (`3/4`) is one.
pub fn last_number(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let last = bytes.iter().rposition(u8::is_ascii_digit)?;
    let mut start = digits(bytes, last);
    // `3/4`, but not the end of the date `1/3/4`.
    if start > 1 && bytes[start - 1] == b'/' && bytes[start - 2].is_ascii_digit() {
        let numerator = digits(bytes, start - 2);
        if numerator == 0 || bytes[numerator - 1] != b'/' {
            start = numerator;
        }
    }
    for sign in ["-", "\u{2212}"] {
        // `5-3` is a difference, not -3.
        if let Some(before) = text[..start].strip_suffix(sign)
            && !before.ends_with(|c: char| c.is_alphanumeric() || c == ')' || c == '}')
        {
            start = before.len();
            break;
        }
    }
    Some(&text[start..=last])
}

/// Where the number that ends at `last` begins.
fn digits(bytes: &[u8], last: usize) -> usize {
    let mut start = last;
    while start > 0 {
        let before = bytes[start - 1];
        let point = matches!(before, b'.' | b',');
        let digit_before = start > 1 && bytes[start - 2].is_ascii_digit();
        // `.5` begins with its point where nothing but a blank or a sign is before that.
        let bare = before == b'.'
            && (start == 1 || matches!(bytes[start - 2], b' ' | b'-' | b'$' | b'(' | b'\n'));
        if !(before.is_ascii_digit() || (point && digit_before) || bare) {
            break;
        }
        start -= 1;
        if bare {
            break;
        }
    }
    start
}

/// Whether there are words in a text that is else mathematics: two letters side by side that are no
/// command of LaTeX, or letters of a script without cases.
pub(super) fn has_words(text: &str) -> bool {
    let (mut command, mut run) = (false, 0);
    for c in text.chars() {
        if c == '\\' {
            (command, run) = (true, 0);
        } else if c.is_alphabetic() {
            run += 1;
            let cased = c.is_lowercase() || c.is_uppercase();
            if !command && (run > 1 || !cased) {
                return true;
            }
        } else {
            (command, run) = (false, 0);
        }
    }
    false
}
