//! From a [`Sample`](percept_data::Sample) to token ids and back.

pub(crate) mod added_tokens;
pub(crate) mod assemble;
pub(crate) mod files;
pub(crate) mod grounding;
pub(crate) mod positions;
pub(crate) mod prompts;
pub(crate) mod segments;
pub(crate) mod text_stream;
pub(crate) mod tokenizer_file;
pub(crate) mod unread_fields;
