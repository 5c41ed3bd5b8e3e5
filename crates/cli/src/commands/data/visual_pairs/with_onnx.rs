//! Tools of ONNX files.

use percept_steps::file_sha256;
use percept_vision::onnx::{
    DetectorTagger, OnnxDetector, OnnxRemover, OnnxRuntime, OnnxScorer, OnnxSegmenter, OnnxTagger,
};

use super::args::DataVisualPairs;
use super::onnx_tools::OnnxTools;
use crate::shared::Failure;

/// Opens them; nothing is loaded where none is named.
pub fn open(args: &DataVisualPairs) -> Result<OnnxTools, Failure> {
    let files = &args.onnx;
    if !files.named() {
        return Ok(OnnxTools::default());
    }
    let Some(library) = files.onnx_runtime.clone().or_else(OnnxRuntime::named) else {
        return Err(Failure::new(
            "no ONNX Runtime\n  help: give --onnx-runtime FILE, or set ORT_DYLIB_PATH: libonnxruntime.so of a release, or that in \
             Python's package onnxruntime/capi",
        ));
    };
    let runtime = OnnxRuntime::open(&library)?;
    let mut tools = OnnxTools::default();
    if let Some(path) = &files.detect_onnx {
        let classes = files.detect_classes.as_deref();
        let detector = OnnxDetector::open(&runtime, path, file_sha256(path)?, classes)?;
        let tagger = DetectorTagger::new(detector.clone(), args.box_threshold);
        tools.tagger = Some(Box::new(tagger));
        tools.detector = Some(Box::new(detector));
    }
    if let Some(path) = &files.tag_onnx {
        let (sha256, labels) = (file_sha256(path)?, files.tag_labels.as_deref());
        let tagger = OnnxTagger::open(&runtime, path, sha256, labels, args.tag_threshold)?;
        tools.tagger = Some(Box::new(tagger));
    }
    if let [encoder, decoder] = &files.segment_onnx[..] {
        let sha256 = [file_sha256(encoder)?, file_sha256(decoder)?];
        let segmenter = OnnxSegmenter::open(&runtime, encoder, decoder, sha256)?;
        tools.segmenter = Some(Box::new(segmenter));
    }
    if let Some(path) = &files.remove_onnx {
        let remover = OnnxRemover::open(&runtime, path, file_sha256(path)?)?;
        tools.remover = Some(Box::new(remover));
    }
    if let (Some(path), Some(tokenizer)) = (&files.score_onnx, &files.score_tokenizer) {
        let sha256 = [file_sha256(path)?, file_sha256(tokenizer)?];
        let scorer = OnnxScorer::open(&runtime, path, tokenizer, sha256)?;
        tools.scorer = Some(Box::new(scorer));
    }
    Ok(tools)
}
