//! From a [`Sample`](percept_data::Sample) to token ids and back.

mod added_tokens;
mod assemble;
mod chat;
mod errors;
mod files;
mod grounding;
mod positions;
pub(crate) mod prompts;
mod segments;
pub(crate) mod text_stream;
mod tokenizer;
mod tokenizer_file;
mod unread_fields;
mod vision;
