//! Preference pairs from a model's own answers, as RLAIF-V makes them (arXiv 2405.17220, `data_engine/`): several answers
//! to a prompt are sampled, each is split into claims, a judge accepts or rejects each claim, and answers whose scores
//! differ become pairs.
//!
//! ```text
//! rows ──sample──▶ Candidate ──Judge──▶ score, claims ──pair──▶ Pair ──write──▶ {prompt, chosen, rejected, images, …}
//! ```
//!
//! Every step is a function of rows, answers and verdicts. What a model says is kept by the caller
//! ([`percept_chat::Cached`]), so that a process that was killed ends with the same bytes.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod candidate;
mod claims;
mod collected;
mod error;
mod judge;
mod length;
mod output;
mod pair;
mod places;
mod reason;
mod rows;
mod sample;
mod tally;

pub use candidate::{Candidate, CandidateStatus, Claim, ClaimVerdict};
pub use claims::options::{ClaimOptions, QuestionForm, SplitBy};
pub use collected::Collected;
pub use error::Error;
pub use judge::annotations::{Annotations, ObjectSource};
pub use judge::by_claims::ClaimJudge;
pub use judge::judging::{Judge, Judgement, Score};
pub use judge::verifier::VerifierJudge;
pub use length::{LengthLimit, Lengths, shorten};
pub use output::write;
pub use pair::{Pair, PairChoice, PairOptions, TieBreak};
pub use places::Places;
pub use reason::SkipReason;
pub use rows::{Row, open_rows};
pub use sample::{Sampling, sample};
pub use tally::Tally;
