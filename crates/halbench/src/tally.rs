//! How a step ended.

use std::collections::BTreeMap;

use crate::step::Step;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The step.
    pub step: Step,
    /// Whether it was done by this call, or found finished.
    pub done_now: bool,
    /// Rows kept.
    pub kept: usize,
    /// Reason → rows dropped for it. Numbers in reasons are left out, so that like comes to like.
    pub reasons: BTreeMap<String, usize>,
}

impl Tally {
    /// Rows dropped.
    pub fn dropped(&self) -> usize {
        self.reasons.values().sum()
    }
}
