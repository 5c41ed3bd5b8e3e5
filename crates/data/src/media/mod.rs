//! Images: encoded bytes, pixels, and the patches that a vision tower reads.

pub(crate) mod ablation;
pub(crate) mod base64;
pub(crate) mod decode;
pub(crate) mod encoded;
pub(crate) mod image_processor;
pub(crate) mod outgoing;
pub(crate) mod resize;
