//! A stage of a run: a name, how many steps, one step.
//!
//! A run is a list of stages (`stages/mod.rs`). Each is made with what does not change while it goes on (its table
//! of the recipe, its data, verifiers, the processor), and each step gets what does ([`Step`]). Where it stands
//! is kept by its name, so a stage needs no field in the state of a run.

use std::sync::atomic::AtomicBool;

use percept_report::RunDir;
use serde_json::Value;

use crate::Error;
use crate::policy::Policy;
use crate::run::ledger::Ledger;
use crate::run::news::News;
use crate::run::observer::Metrics;
use crate::run::seen::Seen;

/// A part of a run, trained by a policy of type `P`.
pub trait Stage<P: Policy> {
    /// Its name in the recipe, in metrics, and in the state of a run.
    fn name(&self) -> &'static str;

    /// Steps in all.
    fn steps(&self) -> usize;

    /// Rows of its data set.
    fn rows(&self) -> usize;

    /// Whether its steps sample responses and judge them: it is then evaluated on the way, and a run in
    /// which nothing was ever graded has failed.
    fn samples(&self) -> bool {
        false
    }

    /// Looked at before its first step, in a resumed run too.
    ///
    /// # Errors
    /// [`Error::Recipe`] for what cannot work with these data.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Before its first step; the optimiser begins with it. A run that is stopped meanwhile comes here again.
    ///
    /// # Errors
    /// Those of the policy.
    fn begin(&mut self, _policy: &mut P, _at: &mut Begin<'_, '_>) -> Result<(), Error> {
        Ok(())
    }

    /// Where a resumed run goes on in it; what is to be said of that.
    ///
    /// # Errors
    /// Those of the policy.
    fn resume(&mut self, _policy: &mut P, _dir: &RunDir) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// One step.
    ///
    /// # Errors
    /// Any; the run ends with it.
    fn step(&mut self, step: &mut Step<'_, '_, P>) -> Result<Stepped, Error>;
}

/// Where a stage begins.
pub struct Begin<'a, 'o> {
    /// The folder of the run.
    pub dir: &'a RunDir,
    /// For what is said at once.
    pub news: &'a mut News<'o>,
    /// True when the run is to stop: what takes long ends, and no step follows.
    pub stop: &'a AtomicBool,
}

/// What changes from step to step: the policy, where the stage stands, and where to put what is to be said.
pub struct Step<'a, 'o, P> {
    /// What is trained.
    pub policy: &'a mut P,
    /// Steps of the stage that are done.
    pub done: usize,
    /// Next position of its row order; the step moves it.
    pub position: u64,
    /// What the stage keeps from one step to the next, in checkpoints too; null at first.
    pub memory: Value,
    /// Counts updates.
    pub updates: Ledger<'a>,
    /// What a person may have to be told of the step.
    pub seen: Seen,
    /// For what is said at once.
    pub news: &'a mut News<'o>,
    /// The folder of the run.
    pub dir: &'a RunDir,
}

/// What a step did.
pub struct Stepped {
    /// Under verl's names.
    pub metrics: Metrics,
    /// Tokens that were sampled, or went through passes with a gradient.
    pub tokens: usize,
}
