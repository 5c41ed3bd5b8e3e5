//! `percept serve`: models as services.

mod reward;

use crate::shared::subcommands;

subcommands! {
    /// Serve a model over HTTP.
    pub enum Serve {
        Reward(reward::RewardArgs),
    }
}
