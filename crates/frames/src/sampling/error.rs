//! What cannot be sampled.

/// A clip or a setting for which there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("frames cannot be sampled: {field} is {found} (expected {expected})")]
pub struct SamplingError {
    /// What is wrong.
    pub field: &'static str,
    /// What it is.
    pub found: String,
    /// What it should be.
    pub expected: String,
}

impl SamplingError {
    pub(super) fn new(
        field: &'static str,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            field,
            found: found.to_string(),
            expected: expected.into(),
        }
    }
}
