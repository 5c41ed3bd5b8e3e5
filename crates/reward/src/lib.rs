//! percept-reward: how a response is judged.
//!
//! ```text
//! Answer ──Verifier::verify──▶ Verdict ──RewardSet::judge──▶ Reward { total, parts }
//! ```
//!
//! * An [`Answer`] is a view of one response with what is needed to judge it.
//! * A [`Verifier`] gives a [`Verdict`]: a score, or the reason why there is none. *Could not judge*
//!   is never a zero: a wrong zero teaches, a missing grade does not.
//! * A [`RewardSet`] is built from the recipe's `[[reward.functions]]`; its weighted sum is the
//!   [`Reward`], whose total is missing where a part that counts is missing.
//!
//! ```
//! use percept_reward::{Answer, RewardConfig, RewardSet};
//!
//! let set = RewardSet::build(&RewardConfig::default())?;
//! let meta = serde_json::Map::new();
//! let answer = Answer {
//!     completion: r"<think>7 + 10 = 17</think> It is \boxed{\frac{34}{2}}.",
//!     ground_truth: Some("17"),
//!     alternatives: &[],
//!     prompt: "What is the sum of the digits?",
//!     finished: true,
//!     n_tokens: 21,
//!     meta: &meta,
//!     ..Answer::default()
//! };
//! assert_eq!(set.judge(&[answer])[0].total, Some(1.0));
//! # Ok::<(), percept_reward::Error>(())
//! ```
//!
//! # Where a new verifier goes
//!
//! A file in `verifier/` with a struct of options that implements [`Kind`], and its line in the registry
//! (`registry.rs`). Judging foreign text must take time linear in it: no regular expressions, no
//! recursion without a depth limit, a [step budget](Math::max_steps) where more than one pass is
//! needed. Foreign *code* runs in a subprocess with a deadline.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod error;
pub mod extract;
mod kind;
mod math;
mod process;
mod registry;
mod set;
mod sharing;
mod verdict;
mod verifier;

pub use config::{FunctionConfig, RewardConfig};
pub use error::Error;
pub use extract::Extraction;
pub use kind::Kind;
pub use math::Math;
pub use process::{CompletionFormat, ExternalCommand, PythonFunction};
pub use registry::FunctionKind;
pub use set::RewardSet;
pub use sharing::{rows_that_share, shared_value};
pub use verdict::{Answer, Extracted, GroupVerifier, Reward, Verdict, Verifier};
pub use verifier::accuracy::Accuracy;
pub use verifier::choice::{self, Choice};
pub use verifier::exact::Exact;
pub use verifier::format::Format;
pub use verifier::iou::{BoxFormat, Coordinates, Iou, Rectangle, boxes, iou};
pub use verifier::length::{Length, LengthShape, LengthUnit};
pub use verifier::react::{ReactAttribution, ReactPreference};
