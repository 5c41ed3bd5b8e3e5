//! How a command ended that did not fail.

/// What a command that did not fail has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// All is well.
    Well,
    /// It ran to its end and found problems.
    Problems,
    /// Stopped by Ctrl-C.
    Stopped,
}
