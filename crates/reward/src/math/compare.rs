//! What all comparisons share: the tolerance and the budget.

use super::budget::{Budget, OutOfSteps};

/// Compares answers within a budget.
pub(super) struct Compare<'a> {
    /// Relative tolerance of the recipe; none: exact, but for the last digit of long decimals.
    pub(super) tolerance: Option<f64>,
    pub(super) budget: &'a mut Budget,
}

/// Whether two sides are the same; the budget may end before it is known.
pub(super) type Same = Result<bool, OutOfSteps>;
