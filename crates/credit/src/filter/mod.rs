//! Filters: which groups are trained on, and which expert trajectories enter them.

mod dapo;
mod tgrl;

pub use dapo::{DapoFilter, informative_groups};
pub use tgrl::{ExpertCandidate, TgrlFilter};

use crate::{Error, registry::methods};

methods! {
    /// Filter and its options: `"dapo"` or `{ name = "dapo", … }`.
    FilterConfig dispatches to Filter:
    "dapo" => DapoFilter,
    "tgrl" => TgrlFilter,
}

/// A filter's options.
pub trait Filter {
    /// Refuses options outside their range.
    fn check(&self) -> Result<(), Error>;
}

impl FilterConfig {
    /// Refuses options outside their range.
    pub fn check(&self) -> Result<(), Error> {
        self.method().check()
    }
}
