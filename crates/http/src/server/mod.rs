//! An HTTP/1.1 server by hyper for pages and small services on this machine: GET, and POST where it is asked for; one
//! request a connection, answers made on a few threads.

mod connection;
mod file_body;
mod listener;
mod local;
mod request;
mod response;

pub use listener::Listener;
pub(crate) use local::{is_local, is_local_origin};
pub use request::{Request, RequestMethod};
pub use response::{Content, Response};
