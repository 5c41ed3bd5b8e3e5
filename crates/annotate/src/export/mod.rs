//! What was said of the frames, as rows that training reads.

mod parquet_file;
mod rows;
mod write;

pub use rows::{AnnotatedRow, Exported, Take, rows};
pub use write::write_rows;
