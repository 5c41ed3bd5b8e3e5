//! The count of a run's updates: what a resume needs to know of them, and when too many failed.

use crate::Error;
use crate::policy::values::Update;
use crate::run::checkpoint::Checkpoints;
use crate::run::seen::Seen;
use crate::run::state::State;

/// Counts the updates of a step.
pub struct Ledger<'a> {
    state: &'a mut State,
    checkpoints: &'a mut Checkpoints,
    /// `trainer.max_nonfinite_updates`.
    most: usize,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(state: &'a mut State, checkpoints: &'a mut Checkpoints, most: usize) -> Self {
        Self {
            state,
            checkpoints,
            most: most.max(1),
        }
    }

    /// Steps done in all stages.
    pub(crate) fn global_step(&self) -> usize {
        self.state.global_step
    }

    /// Changes with every update; stamped on rollouts.
    pub(crate) fn weight_version(&self) -> u64 {
        self.state.weight_version
    }

    /// Counts an update.
    ///
    /// # Errors
    /// [`Error::NonFinite`] when too many in a row were not finite.
    pub(crate) fn count(&mut self, update: &Update, seen: &mut Seen) -> Result<(), Error> {
        match update {
            Update::Done { .. } => {
                self.state.updates += 1;
                self.state.weight_version += 1;
                self.state.nonfinite = 0;
                self.checkpoints.proved()?;
            }
            Update::NotFinite => {
                self.state.nonfinite += 1;
                seen.not_finite += 1;
            }
        }
        match self.state.nonfinite >= self.most {
            true => Err(self.checkpoints.not_finite(self.state.nonfinite)),
            false => Ok(()),
        }
    }
}
