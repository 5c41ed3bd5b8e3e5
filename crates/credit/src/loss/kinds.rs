//! The list of policy losses.

use super::{Cispo, Gspo, Ppo, Sapo, Surrogate};
use crate::{Error, registry::methods};

methods! {
    /// Policy loss and its options: `{ name = "ppo", … }`.
    PolicyLossConfig dispatches to Surrogate:
    "ppo" => Ppo,
    "gspo" => Gspo,
    "cispo" => Cispo,
    "sapo" => Sapo,
}

impl Default for PolicyLossConfig {
    fn default() -> Self {
        Self::Ppo(Ppo::default())
    }
}

impl PolicyLossConfig {
    /// Refuses options outside their range.
    pub fn check(&self) -> Result<(), Error> {
        self.method().check()
    }
}
