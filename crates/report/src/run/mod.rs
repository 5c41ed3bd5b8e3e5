//! The files of a run folder, one format each.

mod columns;
mod dir;
mod group_files;
mod metrics;
mod pair_record;
mod pairs;
mod record;
mod rollouts;
mod summary;
mod table_file;
mod tensorboard;

pub use dir::{Checkpoint, RunDir};
pub use metrics::{MetricsWriter, Row, read_metrics};
pub use pair_record::{PairRecord, PairResponse};
pub use pairs::{read_pairs, write_pairs};
pub use record::{RewardPart, RolloutRecord, Verdict};
pub use rollouts::{count_rollouts, read_rollouts, read_rollouts_page, write_rollouts};
pub use summary::{Change, RunWarning, StageSummary, Summary, TypeSummary};
pub use table_file::{Column, write_table};
pub use tensorboard::TensorBoardWriter;
