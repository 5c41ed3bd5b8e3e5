//! Why a command failed, as a person reads it.

/// An error with everything that caused it, rendered for standard error.
#[derive(Debug)]
pub struct Failure {
    text: String,
}

impl Failure {
    /// A failure that begins here.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// Writes `error: …` to standard error.
    pub fn print(&self, colour: bool) {
        let label = if colour {
            "\u{1b}[1;31merror\u{1b}[0m"
        } else {
            "error"
        };
        eprintln!("{label}: {}", self.text);
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            // `#[error(transparent)]` and `{source}` in a message already said it.
            if !text.contains(&inner_text) {
                text = format!("{text}\n  because: {inner_text}");
            }
            cause = inner.source();
        }
        Self { text }
    }
}
