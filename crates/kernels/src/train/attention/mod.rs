//! Variable-length attention with shared prefixes: `op` is the operator, `plan` and `tasks` how it is cut, `products`,
//! `soften` and `tile` what is computed.

mod heads;
mod op;
mod plan;
mod products;
mod soften;
mod tasks;
#[cfg(test)]
mod tests;
mod tile;

pub use op::Attention;
