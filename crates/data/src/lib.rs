//! Data sets for post-training: rows of messages, media and answers.
//!
//! A [`Dataset`] gives random access to [`Sample`]s. Media stay encoded until pixels are needed.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod chat;
mod check;
pub mod coco;
mod convention;
mod dataset;
mod error;
mod export;
mod file_dataset;
mod formats;
mod media;
mod message;
mod placed_images;
mod preference;
mod sample;
mod tasks;
mod video;

pub use chat::template::ChatTemplate;
pub use check::{
    CheckReport, Checks, PairChecks, PairCounts, PairTokens, Problem, ProblemKind, RowTokens,
    check_rows,
};
pub use convention::answers::right_answers;
pub use convention::columns::ColumnMap;
pub use convention::objects::{BboxType, BoxFormat, Objects, Scale};
pub use convention::unread::Unread;
pub use dataset::Dataset;
pub use error::{Error, Report};
pub use export::{template_columns, text_part_json, turn_json, write_jsonl};
pub use file_dataset::FileDataset;
pub use formats::raw_rows::RawRows;
pub use media::ablation::ImageAblation;
pub use media::clip_image_processor::ClipImageProcessor;
pub use media::encoded::Media;
pub use media::frame_store::MediaHash;
pub use media::image_processor::ImageProcessor;
pub use media::kind::media_type;
pub use media::limits::{MAX_ENCODED_BYTES, MAX_PIXELS};
pub use media::patches::Patches;
pub use message::{Message, Part, Role};
pub use placed_images::{PlacedImages, ShownTurns};
pub use preference::Preference;
pub use sample::{Sample, TemplateFields};
pub use tasks::{crawlers, digit_sum, scenes};
pub use video::clip::Clip;
pub use video::frame_iter::Frames;
pub use video::frames::{DEFAULT_FPS, Video};
pub use video::info::{ClipInfo, Frame};
pub use video::open::ClipOptions;
pub use video::sampling::{SampledFrames, VideoSampling};
