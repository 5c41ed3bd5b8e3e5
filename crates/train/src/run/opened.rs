//! What a run reads and does not change: data, verifiers, processor.

use percept_model::Processor;
use percept_reward::RewardSet;

use crate::source::Data;

/// Open for the whole run; stages borrow of it what they use.
pub(crate) struct Opened {
    pub(crate) data: Data,
    pub(crate) rewards: RewardSet,
    pub(crate) processor: Processor,
}
