//! Where a token is.

use percept_base::random::uniform;

/// Where a token is: its random numbers depend on nothing else.
#[derive(Clone, Copy)]
pub(crate) struct TokenPlace {
    /// The stream of its prompt: its index in the call, or a number that the caller chose.
    pub stream: u64,
    pub sample: usize,
    pub position: usize,
}

impl TokenPlace {
    pub(crate) fn uniform(self, seed: u64) -> f64 {
        uniform(seed, self.stream, self.sample as u64, self.position as u64)
    }
}
