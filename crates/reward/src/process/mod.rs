//! Verifiers that are foreign code: a subprocess that reads requests and writes verdicts.
//!
//! One JSON object a line, in both directions; replies in the order of the requests:
//!
//! ```text
//! → {"id":7,"prompt":"…","completion":"…","ground_truth":"17","finished":true,"n_tokens":21,
//!    "meta":{…},"more":false}
//! ← {"id":7,"score":1.0}            or {"id":7,"score":null,"reason":"no answer key"}
//! ```
//!
//! `more` is true when further requests of the same batch follow. Standard error is free for logs;
//! its end is quoted when the process fails. Closing standard input asks the process to end.

mod command;
mod python;
mod session;
mod worker;

pub use command::ExternalCommand;
pub use python::{CompletionFormat, PythonFunction};
