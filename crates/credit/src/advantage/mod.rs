//! Advantages: how much better a response was than could be expected of its prompt.
//!
//! One estimator, one file. To add one: write `name.rs` with a struct of options that implements
//! [`Estimator`], and add its line to the list in `kinds.rs`.

mod dr_grpo;
mod durian;
mod estimator;
mod graded;
mod grpo;
mod kinds;
mod reinforce_plus_plus;
mod reinforce_plus_plus_baseline;
mod rloo;
mod spread;
mod tgrl;
mod whiten;

pub use dr_grpo::DrGrpo;
pub use durian::Durian;
pub use estimator::{Advantage, Estimate, Estimator};
pub use graded::Graded;
pub(crate) use graded::Moments;
pub use grpo::Grpo;
pub use kinds::AdvantageConfig;
pub use reinforce_plus_plus::ReinforcePlusPlus;
pub use reinforce_plus_plus_baseline::ReinforcePlusPlusBaseline;
pub use rloo::Rloo;
pub(crate) use tgrl::needs_experts;
pub use tgrl::{GroupStats, Tgrl};
