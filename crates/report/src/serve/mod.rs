//! The viewer: a run's report and its files, served to this machine.

mod cache;
mod files;
mod pairs;
mod query;
mod rollouts;
mod server;

pub use server::Server;
