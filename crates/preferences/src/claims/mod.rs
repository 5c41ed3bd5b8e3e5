//! Claims: splitting an answer, asking about each, reading what the judge says.

pub(crate) mod options;
pub(crate) mod prompts;
pub(crate) mod split;
pub(crate) mod yes_no;
