//! Writing samples as JSONL in the form of TRL and Hugging Face.

mod images;
mod jsonl;
mod misread;
mod pair;
mod turns;

pub(crate) use images::ending;
pub use jsonl::{template_columns, write_jsonl};
pub use turns::{text_part_json, turn_json};
