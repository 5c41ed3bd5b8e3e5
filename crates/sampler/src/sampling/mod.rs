//! Drawing one token from one row of logits.

mod draw;
mod penalties;
mod place;
mod scratch;

pub use draw::{Draw, draw, draw_from};
pub(crate) use draw::{draw_penalised, likeliest};
pub(crate) use penalties::Penalties;
pub(crate) use place::TokenPlace;
pub(crate) use scratch::Scratch;
