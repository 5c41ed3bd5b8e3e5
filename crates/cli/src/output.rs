//! Standard output and standard error without panics: the reader of a pipe may go away, a disk
//! that output is redirected to may fill up.

use std::fmt::Arguments;
use std::io::Write;

use crate::Failure;

/// Writes results to standard output.
///
/// # Errors
/// When they cannot be written. A reader that went away makes a [`Failure`] without a text.
pub fn result(text: Arguments<'_>) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    Ok(out.write_fmt(text).and_then(|()| out.flush())?)
}

/// Writes to standard error; nothing can be said when that fails.
pub fn aside(text: Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// A line of results: returns from the function when it cannot be written.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::result(format_args!("{}\n", format_args!($($text)*)))?
    };
}

/// A line on standard error.
macro_rules! note {
    ($($text:tt)*) => {
        $crate::output::aside(format_args!("{}\n", format_args!($($text)*)))
    };
}

pub(crate) use {note, say};
