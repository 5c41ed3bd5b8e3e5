//! What a run reads and does not change: data, verifiers, processor.

use percept_data::Dataset;
use percept_model::Processor;
use percept_reward::RewardSet;

use crate::batch::together::Bundles;
use crate::source::Data;

/// Open for the whole run; stages borrow of it what they use.
pub(crate) struct Opened {
    pub(crate) data: Data,
    /// Rows of `[dpo]`, where the recipe has it.
    pub(crate) pairs: Option<Box<dyn Dataset>>,
    /// General rows of `[dpo]`, where it has some.
    pub(crate) general: Option<Box<dyn Dataset>>,
    pub(crate) rewards: RewardSet,
    /// Rows of `[rl]` that are drawn together, where a reward function judges several together.
    pub(crate) bundles: Option<Bundles>,
    pub(crate) processor: Processor,
}
