//! The direction in which training moved a model: `Δ(y_t) = log π_tuned(y_t) − log π_base(y_t)`
//! of single tokens, and what replacing tokens by it does, beside KL, entropy, |Δ| and chance.
//!
//! Training changes few tokens. Entropy and KL say where distributions are wide or moved; the
//! signed Δ of the token at hand says which way. If that is what training did, then drafting from
//! the base and drawing again from the tuned model only where Δ of the draft is lowest recovers
//! the accuracy with few tokens. Source: arXiv 2603.22117, sections 2 and 3.

mod measure;
mod moves;
mod replacement;
mod response;
mod rules;
mod sample;

pub use measure::{Histogram, Sparsity, auc, histogram, sparsity};
pub use moves::{Occurrence, TokenMove, occurrences, token_moves};
pub use replacement::{Outcome, ReplacementCurve, question_scores};
pub use response::Response;
pub use rules::Rule;
pub use sample::responses;
