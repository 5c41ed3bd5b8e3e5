//! The policy: a decoder with an optional vision tower, read from and written to Hugging Face
//! checkpoint folders.
//!
//! [`Model`] is what trains: packed token axis in, hidden states out, gradients for every
//! trainable [`Param`]. [`ModelConfig`] is `config.json`; an architecture that is not supported is
//! refused by name.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod decode;
mod error;
mod lora;
mod names;
mod pass;
mod processor;
mod text;
mod tiny;
mod vision;

pub use burn::tensor::Device;
pub use config::attention::Attention;
pub use config::generation::GenerationConfig;
pub use config::model::{Family, ModelConfig, RopeConfig, RopeScaling, TextConfig};
pub use config::vision::{LlavaVision, Qwen2VlVision, VisionConfig, VisionTokens, WindowConfig};
pub use decode::decoder::{BLOCK_SIZE, Decoder, Prefix, Sequence};
pub use decode::past::Past;
pub use error::Error;
pub use pass::batch::{PackedBatch, Prompt};
pub use pass::checkpointing::GradientCheckpointing;
pub use pass::model::Model;
pub use pass::recompute::Activations;
pub use percept_weights::{
    Checkpoint, Layers, LoadOptions, LoraConfig, Param, ParamGrads, ParamTensor, Patterns,
    SaveDtype, TargetModules,
};
pub use processor::prompts::Processor;
pub use processor::spans::SpanMarkers;
pub use processor::supervised::Training;
pub use processor::text_stream::TextStream;
pub use text::rope::rotary_tables;
pub use tiny::config::{TinyConfig, TinyCorpus, TinyVisionConfig};
pub use vision::names::is_vision_param;
pub use vision::rows::PlacedImage;
pub use vision::shared::SharedVision;
