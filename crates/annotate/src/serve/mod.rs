//! The page on which people annotate, and what it asks.

mod assets;
mod server;
mod site;

pub use server::Server;
