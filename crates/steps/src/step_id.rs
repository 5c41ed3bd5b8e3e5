//! Which step.

/// A step: its place in the order of the steps, and its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepId {
    /// From 1.
    pub number: usize,
    /// Lower case, as files and messages have it.
    pub name: &'static str,
}
