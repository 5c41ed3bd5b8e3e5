//! `percept analyze …`.

mod direction;
mod tokens;

use crate::shared::subcommands;

subcommands! {
    /// Analyse what training changed.
    pub enum Analyze {
        Direction(direction::AnalyzeDirection),
        Tokens(tokens::AnalyzeTokens),
    }
}
