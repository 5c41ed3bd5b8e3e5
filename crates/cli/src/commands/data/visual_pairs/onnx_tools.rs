//! What the options name as ONNX files.

use percept_vision::Editor;
use percept_vision::tools::{Detector, Segmenter, Tagger, TextImageScorer};

/// Tools of ONNX files, where options name some.
#[derive(Default)]
pub struct OnnxTools {
    pub tagger: Option<Box<dyn Tagger>>,
    pub detector: Option<Box<dyn Detector>>,
    pub segmenter: Option<Box<dyn Segmenter>>,
    pub remover: Option<Box<dyn Editor>>,
    pub scorer: Option<Box<dyn TextImageScorer>>,
}
