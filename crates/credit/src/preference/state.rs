//! What a loss remembers from one mini-batch to the next.

use serde::{Deserialize, Serialize};

/// Running numbers; kept in checkpoints. Losses that remember nothing pass it on as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PreferenceState {
    /// Running mean of the log-ratio gap of chosen and rejected (DAMA). Its code starts at 0.
    pub gap_mean: f64,
}
