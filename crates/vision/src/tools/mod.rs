//! Tools that look at pictures: what is shown, where, which pixels, and how well a text describes it.

mod annotated;
mod box_segmenter;
mod command_detector;
mod command_scorer;
mod command_segmenter;
mod command_tagger;
mod detector;
mod json_answer;
mod segmenter;
mod shown;
mod similarity;
mod tagger;

pub use annotated::Annotated;
#[cfg(feature = "onnx")]
pub(crate) use annotated::overlap;
pub use box_segmenter::BoxSegmenter;
pub use command_detector::CommandDetector;
pub use command_scorer::CommandTextScorer;
pub use command_segmenter::CommandSegmenter;
pub use command_tagger::CommandTagger;
pub use detector::{Detection, Detector};
pub use segmenter::Segmenter;
pub use shown::Shown;
pub use similarity::{SeenObject, TextImageScorer, View};
pub use tagger::{Tag, Tagger};
