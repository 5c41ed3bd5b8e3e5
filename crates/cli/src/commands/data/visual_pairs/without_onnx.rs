//! Builds without ONNX.

use super::args::DataVisualPairs;
use super::onnx_tools::OnnxTools;
use crate::shared::Failure;

/// Refuses ONNX files.
pub fn open(args: &DataVisualPairs) -> Result<OnnxTools, Failure> {
    match args.onnx.named() {
        false => Ok(OnnxTools::default()),
        true => Err(Failure::new(
            "this build cannot run ONNX files\n  help: build it so, cargo build --release -p percept-cli --features onnx, or run them \
             in a program: --detect-command",
        )),
    }
}
