//! The list of filters.

use super::{DapoFilter, ExpertFilter, Filter, GroupFilter, TgrlFilter};
use crate::loss::LossConfig;
use crate::requires::RunShape;
use crate::{Error, registry::methods};

methods! {
    /// Filter and its options: `"dapo"` or `{ name = "dapo", … }`.
    FilterConfig dispatches to Filter:
    "dapo" => DapoFilter,
    "tgrl" => TgrlFilter,
}

impl FilterConfig {
    /// Refuses options outside their range.
    pub fn check(&self) -> Result<(), Error> {
        self.method().check()
    }

    /// Refuses a run in which it could do nothing.
    ///
    /// # Errors
    /// What is wrong with the recipe, and what to change.
    pub fn requires(&self, run: &RunShape) -> Result<(), String> {
        self.method().requires(run)
    }

    /// As one that keeps some groups, and has others sampled in the place of the rest.
    pub fn groups(&self) -> Option<&dyn GroupFilter> {
        self.method().groups()
    }

    /// As one that chooses expert trajectories for groups.
    pub fn experts(&self) -> Option<&dyn ExpertFilter> {
        self.method().experts()
    }

    /// What the method of its name also changes in the loss, where methods are compared by name.
    pub fn change_loss(&self, loss: &mut LossConfig) {
        self.method().change_loss(loss);
    }
}
