//! A step budget: pathological input ends with a reason instead of a hang.

/// Why an expression gives no result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stop {
    /// The step budget is spent.
    Budget,
    /// It is not mathematics that we know; the reason.
    Invalid(String),
}

/// The budget is spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct OutOfSteps;

impl From<OutOfSteps> for Stop {
    fn from(_: OutOfSteps) -> Self {
        Self::Budget
    }
}

pub(crate) fn invalid<T>(reason: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Invalid(reason.into()))
}

/// Steps left; a step is one token read or one node evaluated.
#[derive(Debug)]
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) fn new(steps: usize) -> Self {
        Self(steps)
    }

    /// Takes `steps` of the budget.
    pub(crate) fn spend(&mut self, steps: usize) -> Result<(), OutOfSteps> {
        self.0 = self.0.checked_sub(steps).ok_or(OutOfSteps)?;
        Ok(())
    }
}
