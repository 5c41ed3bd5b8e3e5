//! Model files in ONNX.

use std::path::PathBuf;

use clap::Args;

/// Model files in ONNX, run in this process (builds with the feature onnx).
#[derive(Debug, Clone, Args)]
pub struct OnnxArgs {
    /// ONNX Runtime's library, for --detect-onnx and the like: libonnxruntime.so, also that in Python's
    /// package onnxruntime/capi (default: ORT_DYLIB_PATH).
    #[arg(long, value_name = "FILE")]
    pub onnx_runtime: Option<PathBuf>,
    /// Tag with a model file of labels, like RAM.
    #[arg(long, value_name = "FILE.onnx", requires = "tag_labels")]
    pub tag_onnx: Option<PathBuf>,
    /// Its labels, one per line.
    #[arg(long, value_name = "FILE", requires = "tag_onnx")]
    pub tag_labels: Option<PathBuf>,
    /// Detect with a YOLO or DETR model file; its classes with a sure box are the tags where nothing else
    /// tags.
    #[arg(long, value_name = "FILE.onnx")]
    pub detect_onnx: Option<PathBuf>,
    /// Its classes, one per line (default: COCO's 80).
    #[arg(long, value_name = "FILE", requires = "detect_onnx")]
    pub detect_classes: Option<PathBuf>,
    /// Segment with SAM's model files.
    #[arg(long, num_args = 2, value_names = ["ENCODER.onnx", "DECODER.onnx"])]
    pub segment_onnx: Vec<PathBuf>,
    /// Remove with a model file like LaMa.
    #[arg(long, value_name = "FILE.onnx", conflicts_with_all = ["edit_command", "edit_endpoint"])]
    pub remove_onnx: Option<PathBuf>,
    /// Score with CLIP's model file, texts and pictures in one.
    #[arg(long, value_name = "FILE.onnx", requires = "score_tokenizer", conflicts_with_all = ["score_command", "words"])]
    pub score_onnx: Option<PathBuf>,
    /// Its tokenizer.json.
    #[arg(long, value_name = "FILE", requires = "score_onnx")]
    pub score_tokenizer: Option<PathBuf>,
}

impl OnnxArgs {
    /// Whether any model file is named.
    pub fn named(&self) -> bool {
        self.tag_onnx.is_some()
            || self.detect_onnx.is_some()
            || !self.segment_onnx.is_empty()
            || self.remove_onnx.is_some()
            || self.score_onnx.is_some()
    }
}
