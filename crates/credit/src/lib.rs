//! percept-credit: from rewards to per-token advantages, and from advantages to the gradient of the
//! policy loss. Pure mathematics on slices: no tensors, no I/O, no clock, no randomness.
//!
//! ```text
//! Signals ──CreditConfig::credit──▶ Credit ──(reweight)──▶ policy_loss ──▶ PolicyLoss { loss, d_log_prob, d_entropy, d_kl }
//! ```
//!
//! * [`Signals`] are ragged per-token and per-row arrays, cut into rows by [`Offsets`]. One row is
//!   one sampled response; rows with the same `group` number answer the same prompt.
//! * [`AdvantageConfig`] names an estimator (`grpo`, `dr_grpo`, `rloo`, …), one file each in
//!   [`advantage`]. It turns signals into a [`Credit`]: one advantage and one mask bit per token.
//! * [`TokenWeightConfig`] names a token weight (`tor`, `direction`, `tgrl`, `fipo`), one file each in
//!   [`weight`]. [`CreditConfig`] is an estimator and any number of weights, multiplied in one place: those
//!   known before the update by [`CreditConfig::credit`], those of the current policy by
//!   [`CreditConfig::reweight`]. [`CreditConfig::needs`] says which signals must be computed.
//! * [`LossConfig`] names a policy loss (`ppo`, `gspo`, `cispo`, `sapo`), an aggregation mode, and the KL,
//!   entropy and importance-sampling terms, one file each in [`loss`]. [`policy_loss`] returns the
//!   scalar and its exact gradient with respect to every log-probability and entropy; the trainer
//!   multiplies that gradient into its own backward pass.
//! * [`OverlongConfig`] shapes rewards by length and [`informative_groups`] tells which groups can
//!   teach anything (both from DAPO); [`TgrlFilter`] which expert trajectories enter a group. [`sft_loss`] is the supervised counterpart of [`policy_loss`].
//!
//! # An update
//!
//! ```
//! use percept_credit::{AdvantageConfig, LossConfig, Normaliser, Offsets, Signals, policy_loss};
//!
//! // One prompt, two responses of 3 and 2 tokens; the first is right.
//! let offsets = Offsets::from_lengths([3, 2]);
//! let log_prob = [-0.1, -0.7, -0.2, -1.1, -0.4];
//! let signals = Signals {
//!     offsets: &offsets,
//!     group: &[0, 0],
//!     rewards: &[Some(1.0), Some(0.0)],
//!     mask: &[true; 5],
//!     log_prob: &log_prob,
//!     old_log_prob: &log_prob,
//!     ..Signals::default()
//! };
//! let credit = AdvantageConfig::default().credit(&signals)?;
//! assert!(credit.advantage[0] > 0.0 && credit.advantage[4] < 0.0);
//!
//! let total = Normaliser::of(&offsets, &credit.mask);
//! let loss = policy_loss(&LossConfig::default(), &signals, &credit, &total)?;
//! assert!(loss.d_log_prob[0] < 0.0, "the loss falls when a good token becomes likelier");
//! # Ok::<(), percept_credit::Error>(())
//! ```
//!
//! # Micro-batches
//!
//! [`Normaliser`] holds the token and sequence counts of the whole mini-batch. Call [`policy_loss`]
//! on any partition of its rows with the same normaliser: losses, gradients and metrics *add up* to
//! those of the undivided batch. [`Offsets::select`], [`Offsets::gather`] and [`Credit::select`]
//! cut a batch by rows.
//!
//! # Missing grades
//!
//! A reward of `None` means that the verifier could not judge. Such a row has no part in its group's
//! statistics and its tokens are masked out: adding it changes nothing.
//!
//! # Where a new method goes
//!
//! Whatever it changes: an aggregation or a dual clip that its authors trained it with is said in the
//! same file ([`LossDefaults`]), and [`LossConfig::settle`] puts it where the recipe says nothing.
//!
//! * It changes how a group's rewards become advantages: a file in `advantage/` that implements
//!   [`advantage::Estimator`], and one line in that folder's list (`kinds.rs`).
//! * It weighs tokens, by numbers known before the update or by the current policy: a file in `weight/`
//!   that implements [`weight::TokenWeight`] and says its [`weight::Stage`], and one line in that folder's list.
//! * It changes the surrogate: a file in `loss/` that implements [`loss::Surrogate`], and one line in
//!   that folder's list.
//! * It needs a new array: an optional field of [`Signals`]; callers that end their literal with
//!   `..Signals::default()` do not change.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod combine;
mod config;
mod error;
mod loss_defaults;
mod needs;
mod offsets;
mod overlong;
mod registry;
mod requires;
mod settle;
mod signals;

pub mod advantage;
pub mod filter;
pub mod loss;
pub mod preference;
pub mod weight;

pub use advantage::AdvantageConfig;
pub use combine::combine_stats;
pub use config::CreditConfig;
pub use error::Error;
pub use filter::{
    DapoFilter, ExpertCandidate, ExpertFilter, FilterConfig, GroupFilter, TgrlFilter,
    informative_groups,
};
pub use loss::{
    ExpertLoss, KlLossType, LossAggMode, LossConfig, Mismatch, Normaliser, PolicyLoss,
    PolicyLossConfig, SftLoss, Shaping, policy_loss, sft_loss,
};
pub use loss_defaults::LossDefaults;
pub use needs::Needs;
pub use offsets::Offsets;
pub use overlong::OverlongConfig;
pub use requires::{IdleOption, RunShape};
pub use signals::{Credit, Signals, Stats, add_stats};
pub use weight::{TgrlForm, TokenSets, TokenWeightConfig, Tor};
