//! Images: encoded bytes, pixels, and the patches that a vision tower reads.

pub(crate) mod ablation;
pub(crate) mod base64;
pub(crate) mod clip_image_processor;
pub(crate) mod decode;
pub(crate) mod encoded;
pub(crate) mod frame_store;
pub(crate) mod gif_blocks;
pub(crate) mod image_processor;
pub(crate) mod kind;
pub(crate) mod limits;
mod named_file;
pub(crate) mod outgoing;
pub(crate) mod patches;
mod preprocessing;
mod resize;
pub(crate) mod rgb;
