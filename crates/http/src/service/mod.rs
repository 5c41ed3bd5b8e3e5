//! An HTTP/1.1 service by hyper that works for long on what it is sent: many clients wait, a few jobs run.
//!
//! What differs from [`server`](crate::server), which makes pages: requests have bodies, an answer may take minutes without
//! holding a thread, connections are kept, and everything is bounded: connections, bytes of a request, bytes of all requests
//! that wait ([`Limits`]), jobs that wait ([`queue`]). What does not fit is answered 429 with `Retry-After` at once. A client
//! that goes away gives its place back; one that sends or takes nothing is sent away. A service that stops refuses what is new
//! and answers what it has accepted.

mod answer;
mod call;
mod connection;
mod limits;
mod listener;
mod queue;

pub use answer::Answer;
pub use call::{Call, Room};
pub use limits::Limits;
pub use listener::{Service, aside};
pub use queue::{Busy, Queue, Reply, Ticket, Worker, queue};
