//! From a [`Sample`](percept_data::Sample) to token ids and back.

mod added_tokens;
mod assemble;
mod chat;
mod errors;
mod files;
mod grounding;
mod llava;
mod positions;
mod preprocessor_files;
pub(crate) mod prompts;
mod qwen2vl;
mod segments;
pub(crate) mod spans;
pub(crate) mod supervised;
pub(crate) mod text_stream;
mod tokenizer;
mod tokenizer_file;
mod unread_fields;
mod vision;
mod vision_processors;
