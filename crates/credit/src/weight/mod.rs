//! Token weights: how much of a response's advantage each token gets. Detached, never negative, so
//! that they multiply.
//!
//! One weight, one file. To add one: write `name.rs` with a struct of options that implements
//! [`TokenWeight`], and add its line to the list in `kinds.rs`.

mod direction;
mod fipo;
mod kinds;
mod rank;
mod stats;
mod teaching;
mod tgrl;
mod token_weight;
mod tor;

pub use direction::{Direction, DirectionForm};
pub use fipo::{Fipo, Participation};
pub use kinds::TokenWeightConfig;
pub use tgrl::{TgrlForm, TgrlWeight};
pub use token_weight::{SortsTokens, Stage, TokenWeight, Weighed};
pub use tor::{TokenSets, Tor};

pub(crate) use stats::{CHUNK, Keys, keys, spread};
pub(crate) use teaching::with_advantage;
