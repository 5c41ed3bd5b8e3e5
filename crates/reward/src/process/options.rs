//! Options that every verifier in a process has.

use std::time::Duration;

use crate::Error;

/// Seconds for one verdict.
pub(super) fn timeout_s() -> f64 {
    10.0
}

/// Failures in a row.
pub(super) fn max_restarts() -> usize {
    3
}

/// A time limit that exists.
pub(super) fn seconds(option: &'static str, value: f64) -> Result<Duration, Error> {
    if value > 0.0 && value <= 86_400.0 {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(Error::option(
            option,
            value,
            "more than 0, at most 86400 seconds",
        ))
    }
}

/// The column whose value rows share that are judged together.
pub(super) fn column(group_by: &Option<String>) -> Result<Option<String>, Error> {
    match group_by.as_deref() {
        Some("") => Err(Error::option("group_by", "\"\"", "the name of a column")),
        _ => Ok(group_by.clone()),
    }
}
