//! What can go wrong with data, said so that a user can act on it.
//!
//! Every error carries the same facts: what, where (`file:row, field`), what was found, what was
//! expected, and what to try. `Display` puts the facts on one line and the help on a second one.

use std::fmt;
use std::path::{Path, PathBuf};

/// The facts of one error; see [`Error`] for the kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong, in one clause.
    pub what: String,
    /// The file in which it was found.
    pub file: Option<PathBuf>,
    /// 1-based row of that file (line for JSONL, element for JSON and Parquet).
    pub row: Option<usize>,
    /// The field inside the row, as a path: `messages[1].role`, `images[0]`.
    pub field: Option<String>,
    /// What was found there, shortened.
    pub found: Option<String>,
    /// What would have been accepted.
    pub expected: Option<String>,
    /// What the user can do about it.
    pub help: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(row) = self.row {
                write!(f, ":{row}")?;
            }
            write!(f, "{}", if self.field.is_some() { ", " } else { ": " })?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        write!(f, "{}", self.what)?;
        match (&self.found, &self.expected) {
            (Some(found), Some(expected)) => {
                write!(f, " (found {found}, expected {expected})")?;
            }
            (Some(found), None) => write!(f, " (found {found})")?,
            (None, Some(expected)) => write!(f, " (expected {expected})")?,
            (None, None) => {}
        }
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// An error of this crate. The variant is the kind; the [`Report`] inside has the facts.
///
/// ```
/// use percept_data::Error;
/// let error = Error::row("unknown role")
///     .at("train.jsonl", 118)
///     .field("messages[0].role")
///     .found("\"bot\"")
///     .expected("system, user, assistant or tool")
///     .help("rename the role");
/// assert_eq!(
///     error.to_string(),
///     "train.jsonl:118, messages[0].role: unknown role \
///      (found \"bot\", expected system, user, assistant or tool)\n  help: rename the role"
/// );
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be opened or read, or is not of its format.
    #[error("{0}")]
    File(Box<Report>),
    /// A row or one of its fields cannot be used.
    #[error("{0}")]
    Row(Box<Report>),
    /// An image or video is missing, corrupt or beyond the limits.
    #[error("{0}")]
    Media(Box<Report>),
    /// A chat template cannot be compiled or rendered.
    #[error("{0}")]
    Template(Box<Report>),
    /// A setting (recipe, `preprocessor_config.json`, …) has no usable value.
    #[error("{0}")]
    Config(Box<Report>),
}

fn boxed(what: impl Into<String>) -> Box<Report> {
    Box::new(Report {
        what: what.into(),
        ..Report::default()
    })
}

impl Error {
    /// A file-level error.
    pub fn file(what: impl Into<String>) -> Self {
        Self::File(boxed(what))
    }
    /// A row-level error.
    pub fn row(what: impl Into<String>) -> Self {
        Self::Row(boxed(what))
    }
    /// An image or video error.
    pub fn media(what: impl Into<String>) -> Self {
        Self::Media(boxed(what))
    }
    /// A chat-template error.
    pub fn template(what: impl Into<String>) -> Self {
        Self::Template(boxed(what))
    }
    /// A settings error.
    pub fn config(what: impl Into<String>) -> Self {
        Self::Config(boxed(what))
    }

    /// Adds the file and the 1-based row.
    #[must_use]
    pub fn at(self, file: impl AsRef<Path>, row: usize) -> Self {
        let mut error = self.in_file(file);
        error.report_mut().row = Some(row);
        error
    }
    /// Adds the file.
    #[must_use]
    pub fn in_file(mut self, file: impl AsRef<Path>) -> Self {
        self.report_mut().file = Some(file.as_ref().to_owned());
        self
    }
    /// Replaces the statement of what is wrong, to add context to it.
    #[must_use]
    pub fn what(mut self, what: impl Into<String>) -> Self {
        self.report_mut().what = what.into();
        self
    }
    /// Says the file in the statement of what is wrong, to make room for the row that named it.
    #[must_use]
    pub(crate) fn file_into_what(mut self) -> Self {
        let report = self.report_mut();
        if let Some(file) = report.file.take() {
            report.what = format!("{}: {}", file.display(), report.what);
        }
        self
    }
    /// Forgets the file, which is one of ours and tells the user nothing.
    #[must_use]
    pub(crate) fn nowhere(mut self) -> Self {
        self.report_mut().file = None;
        self
    }
    /// Adds the field path inside the row.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.report_mut().field = Some(field.into());
        self
    }
    /// Adds what was found.
    #[must_use]
    pub fn found(mut self, found: impl fmt::Display) -> Self {
        self.report_mut().found = Some(shorten(&found.to_string(), 120));
        self
    }
    /// Adds what would have been accepted.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.report_mut().expected = Some(expected.into());
        self
    }
    /// Adds what the user can do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.report_mut().help = Some(help.into());
        self
    }

    /// The facts.
    pub fn report(&self) -> &Report {
        match self {
            Self::File(r) | Self::Row(r) | Self::Media(r) | Self::Template(r) | Self::Config(r) => {
                r
            }
        }
    }

    fn report_mut(&mut self) -> &mut Report {
        match self {
            Self::File(r) | Self::Row(r) | Self::Media(r) | Self::Template(r) | Self::Config(r) => {
                r
            }
        }
    }
}

/// What kind of file stands where one was expected.
pub(crate) fn kind_of_file(kind: std::fs::FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a folder",
        _ => "a named pipe, socket or device",
    }
}

/// `text` on one line, cut to `max` characters, so that a 1 MB field never floods a terminal.
pub(crate) fn shorten(text: &str, max: usize) -> String {
    let mut short: String = text
        .chars()
        .take(max)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(max).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_stay_on_one_short_line() {
        let error = Error::row("bad").found("x\n".repeat(100_000));
        assert_eq!(error.to_string().lines().count(), 1);
        assert!(error.to_string().len() < 200);
    }
}
