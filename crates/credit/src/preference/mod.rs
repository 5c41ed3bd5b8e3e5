//! Preference losses: an answer or a picture that is better than another, and the exact gradient with
//! respect to every log-probability.
//!
//! A batch holds pairs. Of each pair it holds responses of some [`Kind`]s: the chosen answer, the
//! rejected answer, the chosen answer read with a rejected picture, …; [`PreferenceConfig::needs`] says
//! which a loss contrasts, so that a trainer computes these and no others. A response is the sum of its
//! tokens' log-probabilities; its implicit reward is `r = β (log π_θ − log π_ref)`. The loss is a mean
//! over pairs.
//!
//! One loss, one file. To add one: write `name.rs` with a struct of options that implements
//! [`PairLoss`], declare it here, and add its line to `registry.rs`.

mod adavip;
mod batch;
mod chip;
mod dama;
mod divergence;
mod dpo;
mod evaluate;
mod halva;
mod ipo;
mod kind;
mod loss_type;
mod margin;
mod math;
mod mdpo;
mod needs;
mod opa;
mod options;
mod orpo;
mod pair_loss;
mod phrases;
mod registry;
mod robust;
mod scores;
mod sdpo;
mod simpo;
mod softmax;
mod state;
mod totals;
mod vdpo;
mod views;

pub use adavip::AdaVip;
pub use batch::{PreferenceBatch, Responses};
pub use chip::Chip;
pub use dama::Dama;
pub use divergence::FDivergenceType;
pub use dpo::Dpo;
pub use evaluate::{PreferenceLoss, ResponseGradient, preference_loss};
pub use halva::Halva;
pub use ipo::Ipo;
pub use kind::Kind;
pub use loss_type::{LossType, LossTypes};
pub use mdpo::{MDpo, VisualNegative};
pub use needs::{KindNeeds, PreferenceNeeds};
pub use opa::{Opa, OpaAnchor};
pub use orpo::Orpo;
pub use pair_loss::{PairLoss, Pairs, Slopes, Terms};
pub use registry::PreferenceConfig;
pub use robust::Robust;
pub use scores::Scores;
pub use sdpo::SDpo;
pub use simpo::SimPo;
pub use state::PreferenceState;
pub use totals::PreferenceTotals;
pub use vdpo::{Guide, VDpo};
pub use views::{ResponseView, response_views};
