//! The engine in this process: continuous batching over a KV cache.

mod caches;
mod call;
mod computed;
mod config;
mod encodings;
mod engine;
mod images;
mod memory;
mod partial;
mod prefix_cache;
mod rows;
mod runner;
mod running;
mod sampler;
mod waiting;

pub use config::EngineConfig;
pub use sampler::LocalSampler;
