//! Losses and their exact gradients with respect to log-probabilities, entropies and divergences.
//!
//! `L = Σ_t c_t · (w_t · ℓ_t + kl_coef · k_t − entropy_coeff · H_t)` over the trained tokens, with
//! `ℓ` the policy loss of the token ([`Surrogate`]), `w` the truncated importance weight of the
//! sampler (`tis_imp_ratio_cap`), `k` the KL estimate ([`KlLossType`]) and `c` the coefficient of the
//! aggregation mode ([`LossAggMode`]). Computed in f64, returned in f32.

mod aggregate;
mod cispo;
mod config;
mod correction;
mod expert;
mod gspo;
mod kinds;
mod kl;
mod policy;
mod ppo;
mod sapo;
mod sft;
mod surrogate;

pub use aggregate::{LossAggMode, Normaliser};
pub use cispo::Cispo;
pub use config::LossConfig;
pub use correction::Mismatch;
pub use expert::{ExpertLoss, Shaping};
pub use gspo::Gspo;
pub use kinds::PolicyLossConfig;
pub use kl::KlLossType;
pub use policy::{PolicyLoss, policy_loss};
pub use ppo::Ppo;
pub use sapo::Sapo;
pub use sft::{SftLoss, sft_loss};
pub use surrogate::{Row, Surrogate, TokenLoss};
