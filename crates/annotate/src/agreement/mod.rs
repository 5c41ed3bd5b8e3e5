//! How far annotators agree: kappas of preferences and labels, overlap of boxes.

mod boxes;
mod cohen;
mod fleiss;
mod measure;

pub use boxes::{BoxAgreement, iou};
pub use cohen::{CohenKappa, cohen_kappa};
pub use fleiss::{FleissKappa, fleiss_kappa};
pub use measure::{Agreement, Kappas};
