//! What an advantage estimator is.

use super::graded::Graded;
use crate::loss_defaults::LossDefaults;
use crate::needs::Needs;
use crate::requires::RunShape;
use crate::{Error, Stats};

/// Advantages of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Advantage {
    /// `[rows]` one for all tokens of a response.
    Rows(Vec<f64>),
    /// `[tokens]`; entries of masked tokens are ignored.
    Tokens(Vec<f64>),
}

impl Default for Advantage {
    fn default() -> Self {
        Self::Rows(Vec::new())
    }
}

/// What an estimator returns.
#[derive(Clone, Debug, Default)]
pub struct Estimate {
    /// The advantage.
    pub advantage: Advantage,
    /// Statistics of the method's own, for the log.
    pub stats: Stats,
}

/// A rule that turns the graded rewards of a batch into advantages.
pub trait Estimator {
    /// Refuses options outside their range.
    fn check(&self) -> Result<(), Error>;

    /// Adds the signals that it reads besides rewards.
    fn needs(&self, _needs: &mut Needs) {}

    /// Refuses a run in which it could do nothing.
    ///
    /// # Errors
    /// What is wrong with the recipe, and what to change.
    fn requires(&self, _run: &RunShape) -> Result<(), String> {
        Ok(())
    }

    /// Whether it compares the responses to one prompt.
    fn grouped(&self) -> bool {
        true
    }

    /// What its authors set in the loss.
    fn loss_defaults(&self) -> LossDefaults {
        LossDefaults::default()
    }

    /// One advantage per row or token.
    fn estimate(&self, batch: &Graded<'_>) -> Result<Estimate, Error>;
}
