//! The policy: a decoder with an optional vision tower, read from and written to Hugging Face
//! checkpoint folders.
//!
//! [`Model`] is what trains: packed token axis in, hidden states out, gradients for every
//! trainable [`Param`]. [`ModelConfig`] is `config.json`; an architecture that is not supported is
//! refused by name.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod added_tokens;
mod assemble;
mod attention;
mod batch;
mod checkpoint;
mod checkpointing;
mod config;
mod config_fields;
mod config_json;
mod config_write;
mod decode;
mod embed;
mod error;
mod gates;
mod generation;
mod gradients;
mod grounding;
mod layers;
mod lora;
mod lora_file;
mod lora_modules;
mod lora_select;
mod model;
mod param;
mod peft_config;
mod positions;
mod processor;
mod processor_files;
mod random;
mod recompute;
mod rope;
mod save;
mod segments;
mod shared_vision;
mod tape;
mod text;
mod text_stream;
mod tiny;
mod tiny_processor;
mod tokenizer_file;
mod unread_fields;
mod vision;
mod vision_plan;
mod vision_tape;

pub use attention::Attention;
pub use batch::{PackedBatch, Prompt};
pub use burn::tensor::Device;
pub use checkpoint::{Checkpoint, LoadOptions};
pub use checkpointing::GradientCheckpointing;
pub use config::{
    Family, ModelConfig, RopeConfig, RopeScaling, TextConfig, VisionConfig, VisionTokens,
};
pub use decode::{BLOCK_SIZE, Decoder, Past, Prefix, Sequence};
pub use embed::PlacedImage;
pub use error::Error;
pub use generation::GenerationConfig;
pub use gradients::ParamGrads;
pub use lora::{LoraConfig, TargetModules};
pub use lora_select::{Layers, Patterns};
pub use model::Model;
pub use param::{Param, ParamTensor};
pub use processor::{Processor, Training};
pub use rope::rotary_tables;
pub use save::SaveDtype;
pub use shared_vision::SharedVision;
pub use text_stream::TextStream;
pub use tiny::{TinyConfig, TinyCorpus, TinyVisionConfig};
