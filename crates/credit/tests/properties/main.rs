//! Properties of credit and loss on random ragged batches.

mod batch;
mod gradients;
mod invariants;
