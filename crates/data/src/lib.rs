//! Data sets for post-training: rows of messages, media and answers.
//!
//! A [`Dataset`] gives random access to [`Sample`]s. Media stay encoded until pixels are needed.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ablation;
mod base64_text;
mod big_integers;
mod chat;
mod check;
mod clip;
pub mod coco;
mod columns;
mod convention;
mod conversation;
mod csv_rows;
mod dataset;
mod decode;
pub mod digit_sum;
mod error;
mod export;
mod file_dataset;
mod image_processor;
mod json;
mod jsonl;
mod media;
mod objects;
mod outgoing;
mod packed;
mod padding;
mod parquet;
mod placement;
mod python_literal;
mod random;
mod random_file;
mod raw_rows;
mod resize;
mod roles;
mod row;
mod sample;
pub mod scenes;
mod template_functions;
mod tool_calls;
mod unread;

pub use ablation::ImageAblation;
pub use chat::ChatTemplate;
pub use check::{CheckReport, Checks, Problem, ProblemKind, RowTokens, check_rows};
pub use columns::ColumnMap;
pub use dataset::Dataset;
pub use error::{Error, Report};
pub use export::{template_columns, text_part_json, turn_json, write_jsonl};
pub use file_dataset::FileDataset;
pub use image_processor::{ImageProcessor, Patches};
pub use media::{DEFAULT_FPS, MAX_ENCODED_BYTES, MAX_PIXELS, Media, MediaHash, Video};
pub use objects::{BboxType, BoxFormat, Objects, Scale};
pub use raw_rows::{RawRows, right_answers};
pub use sample::{Message, Part, Role, Sample, TemplateFields};
pub use unread::Unread;
