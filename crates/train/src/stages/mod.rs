//! The stages of a run, and their list. A new one is a folder here that implements [`Stage`], its two lines in this file,
//! and its table in `recipe/tables.rs`.

pub(crate) mod dpo;
pub(crate) mod rl;
mod sft;

use crate::Recipe;
use crate::policy::{LocalModel, Policy};
use crate::run::opened::Opened;
use crate::run::stage::Stage;
use dpo::Dpo;
use rl::Rl;
use sft::Sft;

/// The stages of a recipe, in their order.
pub(crate) fn of<'a, P: Policy + LocalModel>(
    recipe: &'a Recipe,
    opened: &'a Opened,
) -> Vec<Box<dyn Stage<P> + 'a>> {
    let all = [
        Sft::of(recipe, opened).map(|stage| Box::new(stage) as Box<dyn Stage<P> + 'a>),
        Dpo::of(recipe, opened).map(|stage| Box::new(stage) as Box<dyn Stage<P> + 'a>),
        Rl::of(recipe, opened).map(|stage| Box::new(stage) as Box<dyn Stage<P> + 'a>),
    ];
    all.into_iter().flatten().collect()
}
