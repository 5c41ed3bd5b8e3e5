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

    /// The exit code: that of a program whose reader went away (SIGPIPE) when there is no text.
    pub fn code(&self) -> u8 {
        if self.text.is_empty() { 141 } else { 1 }
    }

    /// What is wrong; empty where the reader of standard output is gone.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let io = (&error as &dyn std::error::Error).downcast_ref::<std::io::Error>();
        if io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
            // `percept … | head`: the reader is gone.
            return Self::new("");
        }
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
