//! Where quantities can lie.

/// Where a quantity can lie.
pub type Range = (f64, f64);

/// Shares and accuracies.
pub const SHARE: Range = (0.0, 1.0);

/// Differences of two shares.
pub const DIFFERENCE: Range = (-1.0, 1.0);

/// Nothing is known of the ends.
pub const ANY: Range = (f64::NEG_INFINITY, f64::INFINITY);
