//! Where in a call a token is.

use percept_base::random::uniform;

/// Where in the call a token is: its random numbers depend on nothing else.
#[derive(Clone, Copy)]
pub(crate) struct TokenPlace {
    pub prompt: usize,
    pub sample: usize,
    pub position: usize,
}

impl TokenPlace {
    pub(crate) fn uniform(self, seed: u64) -> f64 {
        uniform(
            seed,
            self.prompt as u64,
            self.sample as u64,
            self.position as u64,
        )
    }
}
