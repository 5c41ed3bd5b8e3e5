//! Weights, whatever they are the weights of: parameters and their gradients, the layers that read them, adapters, and
//! the files that hold them.
//!
//! [`Specs`] lists the parameters of a structure; [`Checkpoint`] reads their values; [`Weights`] gives the tensors of
//! one pass, with the adapters that [`LoraConfig`] describes.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod checkpoint;
mod error;
mod gradients;
mod layers;
mod lora;
mod memory;
mod param;
mod random;
mod save;

pub use checkpoint::{Checkpoint, LoadOptions, hub_name};
pub use error::Error;
pub use gradients::{ParamGrads, segment, send};
pub use layers::{Adapter, Dropout, Id, Init, Linear, Spec, Specs, Weights};
pub use lora::config::{LoraConfig, TargetModules};
pub use lora::patterns::{Layers, Patterns};
pub use lora::peft_config::read as read_peft_config;
pub use lora::rules::{Rules, ends_with, lora_error};
pub use memory::check_memory;
pub use param::{Param, ParamTensor};
pub use random::Stream;
pub use save::{
    AsTheyAre, MAX_SHARD_BYTES, SaveDtype, Written, sync_dir, write_file, write_json, write_weights,
};
