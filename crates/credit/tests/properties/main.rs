//! Properties of credit and loss on random ragged batches.
#![allow(clippy::unwrap_used)]

mod batch;
mod gradients;
mod invariants;
mod preference;
mod weights;
