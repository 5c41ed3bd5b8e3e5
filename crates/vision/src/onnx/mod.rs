//! Model files in ONNX, run in this process by ONNX Runtime, whose library is loaded at run time.
//!
//! | tool | input | output | known by |
//! |---|---|---|---|
//! | [`OnnxDetector`] | `[1, 3, H, W]` | `[1, 4 + C, N]`: centre, sides in pixels of the input, scores | YOLO exports, `tools/nanodet_onnx.py` |
//! | [`OnnxDetector`] | `[1, 3, H, W]` | `logits [1, Q, C + 1]`, `pred_boxes [1, Q, 4]` in shares | DETR exports |
//! | [`OnnxTagger`] | `[1, 3, H, W]` | `[1, C]` logits | RAM exports |
//! | [`OnnxSegmenter`] | SAM's encoder and decoder | `masks` | SAM, MobileSAM exports |
//! | [`OnnxScorer`] | `input_ids`, `pixel_values`, `attention_mask` | `logits_per_image` | CLIP exports |
//! | [`OnnxRemover`] | `[1, 3, H, W]`, `[1, 1, H, W]` | `[1, 3, H, W]` | LaMa exports |
//!
//! A fixed size of the input is the file's own; where it is open, the tool's usual one is taken. Pictures are stretched to it;
//! for CLIP its middle is cut out, as its own preprocessing does.

mod detector;
mod model;
mod names;
mod remover;
mod runtime;
mod scorer;
mod segmenter;
mod suppress;
mod tagger;
mod tensor;

pub use detector::OnnxDetector;
pub use remover::OnnxRemover;
pub use runtime::OnnxRuntime;
pub use scorer::OnnxScorer;
pub use segmenter::OnnxSegmenter;
pub use tagger::{DetectorTagger, OnnxTagger};
