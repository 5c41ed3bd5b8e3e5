//! Means, ratios and their intervals.

mod bootstrap;
mod bounds;
mod estimate;
mod ranges;

pub use bootstrap::{intervals, ratio};
pub(crate) use bounds::{percentile_interval, widened};
pub use estimate::{Estimate, estimate, estimate_in};
pub use ranges::{ANY, DIFFERENCE, Range, SHARE};
