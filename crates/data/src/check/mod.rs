//! Reading a whole data set before it costs anything.

mod key;
mod pairs;
mod problem;
mod report;
mod rows;

pub use pairs::{PairChecks, PairCounts, PairTokens};
pub use problem::{Problem, ProblemKind, RowTokens};
pub use report::CheckReport;
pub use rows::{Checks, check_rows};
