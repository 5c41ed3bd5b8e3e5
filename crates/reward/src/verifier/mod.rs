//! Verifiers: one file, or folder, each.

pub(crate) mod accuracy;
pub mod choice;
pub(crate) mod exact;
pub(crate) mod format;
pub(crate) mod iou;
pub(crate) mod length;
pub(crate) mod react;
