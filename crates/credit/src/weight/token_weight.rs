//! What a token weight is.

use crate::loss_defaults::LossDefaults;
use crate::needs::Needs;
use crate::requires::{IdleOption, RunShape};
use crate::{Credit, Error, Signals, Stats};

/// When a weight is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Once per rollout batch, before the first update.
    Rollout,
    /// Anew before each update: it depends on the current policy.
    Update,
}

/// What a weight returns.
#[derive(Clone, Debug, Default)]
pub struct Weighed {
    /// `[tokens]`; 1 where the token is not trained.
    pub weight: Vec<f32>,
    /// `[tokens]` tokens that stay in the loss; none when all do.
    pub mask: Option<Vec<bool>>,
    /// Statistics, `credit/<part>/…`.
    pub stats: Stats,
}

/// A rule that weighs tokens.
pub trait TokenWeight {
    /// Refuses options outside their range.
    fn check(&self) -> Result<(), Error>;

    /// When it is known.
    fn stage(&self) -> Stage {
        Stage::Rollout
    }

    /// Adds the signals that it reads.
    fn needs(&self, needs: &mut Needs);

    /// Refuses a run in which it could do nothing.
    ///
    /// # Errors
    /// What is wrong with the recipe, and what to change.
    fn requires(&self, _run: &RunShape) -> Result<(), String> {
        Ok(())
    }

    /// The option that another one switches off, if such a one is set.
    fn idle_option(&self) -> Option<IdleOption> {
        None
    }

    /// As a weight that sorts tokens into sets.
    fn sorts(&self) -> Option<&dyn SortsTokens> {
        None
    }

    /// What its authors set in the loss.
    fn loss_defaults(&self) -> LossDefaults {
        LossDefaults::default()
    }

    /// Takes over the loss's dual clip, where it reads one.
    ///
    /// # Errors
    /// [`Error::Differ`] when it was given another.
    fn share_dual_clip(&mut self, _clip_ratio_c: f64) -> Result<(), Error> {
        Ok(())
    }

    /// One weight per token; `credit` has the mask and the advantage so far.
    fn weigh(&self, signals: &Signals<'_>, credit: &Credit) -> Result<Weighed, Error>;
}

/// A weight that gives tokens theirs by the sets that they are in.
pub trait SortsTokens {
    /// `[tokens]` the sum of the numbers (1, 2, 4, …) of the sets that a token is in; `credit` is the
    /// estimator's, without token weights.
    ///
    /// # Errors
    /// As [`TokenWeight::weigh`].
    fn token_sets(&self, signals: &Signals<'_>, credit: &Credit) -> Result<Vec<f32>, Error>;
}
