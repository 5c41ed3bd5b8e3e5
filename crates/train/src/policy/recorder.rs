//! A policy for tests: it computes nothing, and keeps what it is asked.

use std::path::Path;

use percept_model::Model;

use crate::batch::pack::Packed;
use crate::policy::values::{
    Objective, Pass, PassOptions, ReferenceSource, ScoreOptions, TokenValues, Update,
};
use crate::policy::{LocalModel, Policy};
use crate::{Error, OptimConfig};

/// Says the same of every token, and writes down what comes back.
pub(crate) struct Recorder {
    pub(crate) model: Model,
    /// What was asked, in its order.
    pub(crate) calls: Vec<&'static str>,
    pub(crate) objectives: Vec<Objective>,
    /// What the optimiser's steps answer, the next one last; done with a norm of 1 when there is none.
    pub(crate) updates: Vec<Update>,
}

impl Recorder {
    pub(crate) fn new(model: Model) -> Self {
        Self {
            model,
            calls: Vec::new(),
            objectives: Vec::new(),
            updates: Vec::new(),
        }
    }
}

/// Log-probability of every token.
pub(crate) const LOG_PROB: f32 = -0.5;

fn values(packed: &Packed) -> TokenValues {
    TokenValues {
        log_prob: vec![LOG_PROB; packed.targets.len()],
        entropy: vec![1.0; packed.targets.len()],
        ..TokenValues::default()
    }
}

impl LocalModel for Recorder {
    fn model(&self) -> &Model {
        &self.model
    }
}

impl Policy for Recorder {
    /// Targets of the pass.
    type Saved = usize;

    fn plan_update(&mut self, _: &[Packed], _: &PassOptions) {
        self.calls.push("plan");
    }

    fn forward(&mut self, packed: &Packed, _: &PassOptions, _: u64) -> Result<Pass<usize>, Error> {
        self.calls.push("forward");
        Ok(Pass {
            values: values(packed),
            vision_tokens: 0,
            saved: packed.targets.len(),
        })
    }

    fn backward(&mut self, saved: usize, objective: &Objective) -> Result<(), Error> {
        self.calls.push("backward");
        assert_eq!(objective.d_log_prob.len(), saved, "one gradient per target");
        self.objectives.push(objective.clone());
        Ok(())
    }

    fn optim_step(&mut self, _: &OptimConfig, _: f64) -> Result<Update, Error> {
        self.calls.push("step");
        let done = Update::Done { grad_norm: 1.0 };
        Ok(self.updates.pop().unwrap_or(done))
    }

    fn score(&self, passes: &[Packed], _: &ScoreOptions) -> Result<Vec<TokenValues>, Error> {
        Ok(passes.iter().map(values).collect())
    }

    fn reset_optimizer(&mut self) {
        self.calls.push("reset");
    }

    fn freeze_reference(&mut self, _: &Path) -> Result<(), Error> {
        self.calls.push("freeze");
        Ok(())
    }

    fn keep_reference(&self, _: &Path) -> Result<(), Error> {
        Ok(())
    }

    fn release_reference(&mut self) {}

    fn load_reference(&mut self, _: &Path) -> Result<ReferenceSource, Error> {
        self.calls.push("load");
        Ok(ReferenceSource::Copy)
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn save_weights(&self, _: &Path) -> Result<(), Error> {
        Ok(())
    }

    fn save_optimizer(&self, _: &Path) -> Result<(), Error> {
        Ok(())
    }

    fn load_optimizer(&mut self, _: &Path, _: usize) -> Result<(), Error> {
        Ok(())
    }
}
