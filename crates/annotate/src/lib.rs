//! Labelling pairs of generated clips by single frames: pairs of clips, frames cut at equal times, a page on which people
//! draw boxes and say which frame is better, how far they agree, and the rows that training reads.
//!
//! ```text
//! clips ──cut──▶ pairs.jsonl, frames/ ──page──▶ actions.jsonl ──▶ agreement, rows (JSONL, Parquet)
//! ```
//!
//! Every click is an [`Action`]. It is on the disk before the page hears that it was taken, and it has an id, so that a page
//! that did not hear sends it again and nothing is stored twice. Everything else is a function of `pairs.jsonl` and
//! `actions.jsonl`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod agreement;
mod clips;
mod cut;
mod error;
mod export;
pub mod reasoning;
mod serve;
mod status;
mod work;

pub use agreement::{
    Agreement, BoxAgreement, CohenKappa, FleissKappa, Kappas, cohen_kappa, fleiss_kappa, iou,
};
pub use clips::{ClipOf, ClipPair, ClipSource, Clips};
pub use cut::{FrameFile, FramePair, Project, Times};
pub use error::Error;
pub use export::{AnnotatedRow, Exported, Take, rows, write_rows};
pub use serve::Server;
pub use status::{Counts, Status};
pub use work::{
    Action, ActionError, Change, DrawnBox, Entry, Overlap, Receipt, Refusal, Side, State, Store,
    Work, Works,
};
