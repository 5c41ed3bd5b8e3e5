//! `iou`: overlap of named boxes with the true ones (grounding).

mod coordinates;
mod overlap;
mod read;
mod rectangle;

pub use coordinates::Coordinates;
pub use overlap::{BoxFormat, Iou};
pub use read::boxes;
pub use rectangle::{Rectangle, iou};
