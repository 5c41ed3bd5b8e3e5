//! The files of a run folder, one format each.

mod columns;
mod dir;
mod metrics;
mod record;
mod rollouts;
mod summary;
mod table_file;
mod tensorboard;

pub use dir::{Checkpoint, RunDir};
pub use metrics::{MetricsWriter, Row, read_metrics};
pub use record::{RewardPart, RolloutRecord, Verdict};
pub use rollouts::{count_rollouts, read_rollouts, read_rollouts_page, write_rollouts};
pub use summary::{Change, RunWarning, StageSummary, Summary, TypeSummary};
pub use table_file::{Column, write_table};
pub use tensorboard::TensorBoardWriter;
