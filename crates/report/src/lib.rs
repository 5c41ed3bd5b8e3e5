//! The files of a run, the report made from them, and the viewer that serves it.
//!
//! | file of the run folder | written by | read by |
//! |---|---|---|
//! | `recipe.toml` | [`write_atomic`](percept_base::files::write_atomic) | people, [`write_report`] |
//! | `metrics.jsonl` | [`MetricsWriter`] | [`read_metrics`], `pandas.read_json(lines=True)` |
//! | `rollouts/step-000123.parquet` | [`write_rollouts`] | [`read_rollouts`], pandas, `datasets` |
//! | `pairs/step-000123.parquet` | [`write_pairs`] | [`read_pairs`], pandas, `datasets` |
//! | `checkpoints/step-000123/` | the trainer, through [`replace_dir`](percept_base::files::replace_dir) | [`RunDir::checkpoints`] |
//!
//! Whatever is not appended to is written under a temporary name, synced and renamed, so a file
//! that has its name is complete.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod page;
mod run;
mod serve;

pub use error::Error;
pub use page::{Chart, HeatMap, Page, Report, Series, escape, render, write_report};
pub use run::{
    Change, Checkpoint, Column, MetricsWriter, PairRecord, PairResponse, RewardPart, RolloutRecord,
    Row, RunDir, RunWarning, StageSummary, Summary, TensorBoardWriter, TypeSummary, Verdict,
    count_rollouts, read_metrics, read_pairs, read_rollouts, read_rollouts_page, write_pairs,
    write_rollouts, write_table,
};
pub use serve::Server;
