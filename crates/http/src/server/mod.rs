//! An HTTP/1.1 server by hyper for pages and small services on this machine: GET, one request a connection, answers made
//! on a few threads.

mod connection;
mod file_body;
mod listener;
mod local;
mod request;
mod response;

pub use listener::Listener;
pub(crate) use local::{is_local, is_local_origin};
pub use request::Request;
pub use response::{Content, Response};
