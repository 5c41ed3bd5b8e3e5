//! HTTP as percept speaks it: one client (retries, pace, keys that are never shown), one small server of pages, and a service
//! that works for long on what it is sent.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod attempt;
mod client;
mod error;
mod error_body;
mod key;
mod pace;
mod retry;
mod secrets;
pub mod server;
pub mod service;

pub use address::method_url;
pub use attempt::AttemptError;
pub use client::{Client, ClientConfig, Traffic};
pub use error::HttpError;
pub use error_body::ErrorBody;
pub use key::ApiKey;
pub use retry::{RetryPolicy, retry_after};
pub use secrets::Secrets;
pub use ureq::http::HeaderMap;
