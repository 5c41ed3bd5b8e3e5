//! Verifiers that are foreign code: a subprocess that reads requests and writes verdicts.
//!
//! One JSON object a line, in both directions; replies in the order of the requests:
//!
//! ```text
//! → {"id":7,"prompt":"…","completion":"…","ground_truth":"17","finished":true,"n_tokens":21,
//!    "token_ids":[…],"messages":[…] or null,"meta":{…},"more":false}
//! ← {"id":7,"score":1.0}            or {"id":7,"score":null,"reason":"no answer key"}
//! ```
//!
//! `messages` is the prompt where the row has it as a conversation. `more` is true when further requests of the same
//! batch follow. With `group_by` a batch is the responses to all rows that share a value of that column, and a request
//! says where it stands in it: `group_index` (which of the rows), `rollout_index` (which response to it). A reply may carry a `traceback`. Standard error is free for logs; what is new in it is shown once, and
//! its end is quoted when the process fails. Closing standard input asks the process to end; the process and all that
//! it started are killed when we end, in whatever way.

mod command;
mod log;
mod options;
mod python;
mod request;
mod session;
mod verifier;
#[cfg(unix)]
mod worker;
#[cfg(not(unix))]
#[path = "worker_none.rs"]
mod worker;

pub use command::ExternalCommand;
pub use python::{CompletionFormat, PythonFunction};
