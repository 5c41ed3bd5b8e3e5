//! Chat templates: turns in, the text of a prompt out.

pub(crate) mod functions;
pub(crate) mod template;
