//! `percept reward`: scores from reward models.

mod react;

use crate::shared::subcommands;

subcommands! {
    /// Score clips with a reward model.
    pub enum Reward {
        React(react::ReactArgs),
    }
}
