//! Standard output and standard error without panics: the reader of a pipe may go away, a disk
//! that output is redirected to may fill up.
//!
//! What is shown comes from everywhere: ids of rows, names of files, words of servers and of models. A terminal interprets
//! control characters and changes of text direction, so all of it goes through [`visible`].

use std::borrow::Cow;
use std::fmt::{Arguments, Write as _};
use std::io::Write;

use crate::shared::Failure;

/// A line of results: returns from the function when it cannot be written.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::shared::output::result(format_args!("{}\n", format_args!($($text)*)))?
    };
}

/// A line on standard error.
macro_rules! note {
    ($($text:tt)*) => {
        $crate::shared::output::aside(format_args!("{}\n", format_args!($($text)*)))
    };
}

pub(crate) use {note, say};

/// Writes results to standard output.
///
/// # Errors
/// When they cannot be written. A reader that went away makes a [`Failure`] without a text.
pub fn result(text: Arguments<'_>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let text = text.to_string();
    let written = out.write_all(visible(&text).as_bytes());
    Ok(written.and_then(|()| out.flush())?)
}

/// Writes to standard error; a failure to write there is ignored.
pub fn aside(text: Arguments<'_>) {
    let text = text.to_string();
    let _ = std::io::stderr()
        .lock()
        .write_all(visible(&text).as_bytes());
}

/// Writes `error: …` to standard error.
pub fn failure(failure: &Failure, colour: bool) {
    if failure.text().is_empty() {
        return;
    }
    let word = match colour {
        true => "\u{1b}[1;31merror\u{1b}[0m",
        false => "error",
    };
    let _ = std::io::stderr().lock().write_all(word.as_bytes());
    note!(": {}", failure.text());
}

/// Text that a terminal shows and does not interpret: control characters other than line feed and tab, and marks that change the
/// direction of what follows, become `\u001b` and the like. Inside JSON that is the same string, so that JSON stays what it
/// was. Every other character stays, in every script.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_interpreted) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_interpreted(c) {
            // All of them have at most four hexadecimal digits.
            true => {
                let _ = write!(shown, "\\u{:04x}", u32::from(c));
            }
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal may interpret a character: C0, DEL, C1, line separators, and embedded, overridden or isolated directions.
fn is_interpreted(c: char) -> bool {
    let direction = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() && c != '\n' && c != '\t' || direction
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M5: a row id, a file name or a server's message must not move the cursor or rename the window.
    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        let orders = "\u{1b}[2J\u{1b}]0;x\u{7}\r\u{8}\0\u{9b}1m\u{7f}\u{202e}gpj.exe\u{2066}";
        let shown = visible(orders);
        assert_eq!(
            shown,
            r"\u001b[2J\u001b]0;x\u0007\u000d\u0008\u0000\u009b1m\u007f\u202egpj.exe\u2066"
        );
        let twice = visible(&shown);
        assert_eq!(twice, shown);
    }

    #[test]
    fn every_script_stays_as_it_is() {
        let text = "naïve 猫が好き עברית\u{200f} 👩\u{200d}👩\u{200d}👧 é\u{301}\tα\nβ";
        assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
    }

    /// Escapes are those of JSON, where they stand for what they replaced.
    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({"id": "\u{1b}[31m\u{9b}\u{202e}\u{7f}"});
        let shown = visible(&value.to_string()).into_owned();
        assert!(!shown.chars().any(is_interpreted));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }
}
