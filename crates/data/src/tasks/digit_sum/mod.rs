//! `digit-sum`, the built-in task: questions about a few real handwritten digits on a cluttered canvas.
//!
//! Sample `i` of a `(seed, split)` is a pure function of `i`: nothing is stored but the 46 KB of embedded handwriting
//! (UCI, CC BY 4.0, see `assets/LICENCE-digits.md`). Train and test never share a handwriting. Every sample carries the
//! answer and the text of an exact expert, which first names what it sees, cell by cell with `_` for an empty one, and
//! then reasons in small steps:
//!
//! ```text
//! What is the sum of the digits?   <think>I see 3 _ 7 2 _. 3+7=10 10+2=12.</think> \boxed{12}
//! ```

mod config;
mod handwriting;
mod question;
mod render;
mod task;

pub use config::{DigitSumConfig, Split};
pub use question::{QuestionType, corpus_pieces};
pub use task::DigitSum;
