//! Models that answer conversations, wherever they run: [`Endpoint`] asks an OpenAI-compatible
//! server, [`Local`] samples from a percept model, [`Recorded`] plays recorded answers, and
//! [`Cached`] puts an append-only file before any of them, so that nothing is asked twice.
//!
//! ```
//! use percept_data::{Message, Role, Sample};
//! use percept_chat::{ChatModel, ChatRequest, Recorded, Turn};
//!
//! let model = Recorded::answering("parrot", |request| request.turns().last().unwrap().plain_text());
//! let sample = Sample::new("1", vec![Message::text(Role::User, "two")]);
//! let request = ChatRequest::of(&sample, Turn::default());
//! assert_eq!(model.ask(&request)?.text, "two");
//! # Ok::<(), percept_chat::ChatError>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ask;
mod cached;
mod endpoint;
mod error;
mod form;
mod image_edit;
mod local;
mod model;
mod record;
mod recorded;
mod reply;
mod request;
mod usage;
mod wire;

pub use ask::ask_all;
pub use cached::Cached;
pub use endpoint::{Endpoint, EndpointConfig};
pub use error::ChatError;
pub use image_edit::ImageEndpoint;
pub use local::Local;
pub use model::{Calls, ChatModel};
pub use recorded::Recorded;
pub use reply::{ChatFinish, ChatReply, TokenLogProb};
pub use request::{ChatRequest, Turn};
pub use usage::{Prices, Usage};
