//! What annotators and reviewers do: actions, the work that they add up to, and the file that keeps them.

mod action;
mod item;
mod overlap;
mod refusal;
mod state;
mod store;
mod works;

pub use action::{Action, Change};
pub use overlap::Overlap;
pub use refusal::Refusal;
pub use state::{DrawnBox, Side, State, Work};
pub use store::{ActionError, Receipt, Store};
pub use works::{Entry, Works};
