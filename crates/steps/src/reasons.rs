//! Counting reasons.

use std::collections::BTreeMap;

/// A reason without its details: up to the first `:`. Reasons put numbers that differ from row to
/// row behind it, and those of the configuration before it.
pub fn kind(reason: &str) -> String {
    reason.split(':').next().unwrap_or_default().to_owned()
}

/// How often each [`kind`] of reason occurs.
pub fn reasons<'a>(all: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for reason in all {
        *counts.entry(kind(reason)).or_default() += 1;
    }
    counts
}
