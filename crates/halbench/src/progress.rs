//! How far a build is.

use crate::step::Step;

/// Called with a step, rows that are done and rows in all.
pub type Progress<'a> = dyn Fn(Step, usize, usize) + Sync + 'a;
