//! The files of a run, the report made from them, and the viewer that serves it.
//!
//! | file of the run folder | written by | read by |
//! |---|---|---|
//! | `recipe.toml` | [`write_atomic`] | people, [`write_report`] |
//! | `metrics.jsonl` | [`MetricsWriter`] | [`read_metrics`], `pandas.read_json(lines=True)` |
//! | `rollouts/step-000123.parquet` | [`write_rollouts`] | [`read_rollouts`], pandas, `datasets` |
//! | `checkpoints/step-000123/` | the trainer, through [`replace_dir`] | [`RunDir::checkpoints`] |
//!
//! Whatever is not appended to is written under a temporary name, synced and renamed, so a file
//! that has its name is complete.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answers;
mod atomic;
mod chart;
mod columns;
mod error;
mod heat_map;
mod html;
mod metrics;
mod page;
mod payload;
mod record;
mod rollouts;
mod run_dir;
mod serve;
mod summary;
mod table_file;
mod tensorboard;

pub use atomic::{AtomicFile, recover, replace_dir, temporary_path, write_atomic};
pub use chart::{Chart, Series};
pub use error::Error;
pub use heat_map::HeatMap;
pub use html::{Report, render, write_report};
pub use metrics::{MetricsWriter, Row, read_metrics};
pub use page::{Page, escape};
pub use payload::media_type;
pub use record::{RewardPart, RolloutRecord, Verdict};
pub use rollouts::{count_rollouts, read_rollouts, read_rollouts_page, write_rollouts};
pub use run_dir::{Checkpoint, RunDir};
pub use serve::{Server, serve};
pub use summary::{Change, RunWarning, StageSummary, Summary, TypeSummary};
pub use table_file::{Column, write_table};
pub use tensorboard::TensorBoardWriter;
