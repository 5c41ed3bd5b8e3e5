//! Filters: which groups are trained on, and which expert trajectories enter them.
//!
//! One filter, one file. To add one: write `name.rs` with a struct of options that implements [`Filter`], and add
//! its line to the list in `kinds.rs`.

mod dapo;
mod kind;
mod kinds;
mod tgrl;

pub use dapo::{DapoFilter, informative_groups};
pub use kind::{ExpertCandidate, ExpertFilter, Filter, GroupFilter};
pub use kinds::FilterConfig;
pub use tgrl::TgrlFilter;
