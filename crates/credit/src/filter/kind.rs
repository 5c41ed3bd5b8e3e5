//! What a filter is, and what it may do.

use crate::Error;
use crate::loss::LossConfig;
use crate::requires::RunShape;

/// A filter's options.
pub trait Filter {
    /// Refuses options outside their range.
    fn check(&self) -> Result<(), Error>;

    /// Refuses a run in which it could do nothing.
    ///
    /// # Errors
    /// What is wrong with the recipe, and what to change.
    fn requires(&self, _run: &RunShape) -> Result<(), String> {
        Ok(())
    }

    /// As one that keeps some groups, and has others sampled in the place of the rest.
    fn groups(&self) -> Option<&dyn GroupFilter> {
        None
    }

    /// As one that chooses expert trajectories for groups.
    fn experts(&self) -> Option<&dyn ExpertFilter> {
        None
    }

    /// What the method of its name also changes in the loss, where methods are compared by name.
    fn change_loss(&self, _loss: &mut LossConfig) {}
}

/// Which groups are trained on.
pub trait GroupFilter {
    /// What of a response it looks at: a name of verl's (`acc`, `score`, `seq_reward`, `seq_final_reward`) or of
    /// a reward function.
    fn metric(&self) -> &str;

    /// Generation batches per step at most; then the step goes on with what it has.
    fn max_num_gen_batches(&self) -> usize;

    /// Whether a group stays, by the metric of its responses; none where one could not be graded.
    ///
    /// # Errors
    /// [`Error::Reward`] for a value that is not finite.
    fn keeps(&self, values: &[Option<f64>]) -> Result<bool, Error>;
}

/// Which expert trajectories enter which groups.
pub trait ExpertFilter {
    /// Experts in a group at most.
    fn n_expert(&self) -> usize;

    /// Whether a score of the first reward function is a right answer's.
    fn is_right(&self, score: f64) -> bool;

    /// For each prompt, the indices of the candidates that enter its group, best first. `accuracy` is that of
    /// the policy's own responses, by prompt.
    fn choose(&self, pool: &[ExpertCandidate], accuracy: &[f64]) -> Vec<Vec<usize>>;
}

/// What is known about one candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ExpertCandidate {
    /// Index of its prompt.
    pub prompt: usize,
    /// Whether the verifier calls it right.
    pub right: bool,
    /// Mean perception score, in nats.
    pub grounding: f64,
    /// Mean negative log-likelihood under the student, in nats per token.
    pub nll: f64,
    /// Tokens.
    pub tokens: usize,
}
