//! Block-sparse causal attention that can be trained ([`percept_kernels::sparse`] says which, and how blocks are chosen):
//! [`attention`](attention()) is the differentiable operator on a packed axis, [`nsa`] that of native sparse attention.

mod attention;
mod choices;
pub mod nsa;
pub mod reference;

pub use attention::attention;
