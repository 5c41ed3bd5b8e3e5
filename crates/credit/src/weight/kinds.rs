//! The list of token weights.

use super::{Direction, Fipo, Stage, TgrlWeight, TokenWeight, Tor};
use crate::{registry::methods, requires::IdleOption};

methods! {
    /// Token weight and its options: `"tor"` or `{ name = "tor", … }`.
    TokenWeightConfig dispatches to TokenWeight:
    "tor" => Tor,
    "direction" => Direction,
    "tgrl" => TgrlWeight,
    "fipo" => Fipo,
}

impl TokenWeightConfig {
    /// The option that another one switches off, if such a one is set.
    pub fn idle_option(&self) -> Option<IdleOption> {
        self.method().idle_option()
    }

    /// When it is known.
    pub fn stage(&self) -> Stage {
        self.method().stage()
    }
}
