//! What the step that goes on shows besides its metrics.

use percept_reward::Reward;

use crate::reasons::Reasons;

/// What the step that goes on shows besides its metrics.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Responses judged.
    pub judged: usize,
    /// Those that were not graded, and why.
    pub ungraded: Reasons,
    /// Rows that gave no sample, of those that the run saw for the first time.
    pub skipped: Reasons,
    /// Whether any group had different rewards.
    pub informative: bool,
    /// Updates that were not finite.
    pub not_finite: usize,
    /// What is to be said of the gap between sampler and trainer.
    pub mismatch: Option<String>,
}

impl Seen {
    /// Takes the judgement of responses to the row `place` into account.
    pub(crate) fn judge(&mut self, rewards: &[Reward], place: &str) {
        self.judged += rewards.len();
        for reward in rewards {
            if reward.total.is_some() {
                continue;
            }
            let mut parts = reward.parts.iter();
            let reason = parts.find_map(|(name, verdict)| Some((name, verdict.reason()?)));
            if let Some((name, reason)) = reason {
                self.ungraded.add(place, &format!("{name}: {reason}"));
            }
        }
    }
}
