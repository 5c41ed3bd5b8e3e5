//! How far a step is.

use crate::StepId;

/// Called with a step, rows that are done and rows in all; from any thread.
pub type Progress<'a> = dyn Fn(StepId, usize, usize) + Sync + 'a;
