//! The list of stages. A new one is a folder that implements [`Stage`], and its line here.

use crate::Recipe;
use crate::policy::{LocalModel, Policy};
use crate::rl::Rl;
use crate::run::opened::Opened;
use crate::run::stage::Stage;
use crate::sft::Sft;

/// The stages of a recipe, in their order.
pub(crate) fn of<'a, P: Policy + LocalModel>(
    recipe: &'a Recipe,
    opened: &'a Opened,
) -> Vec<Box<dyn Stage<P> + 'a>> {
    let all = [
        Sft::of(recipe, opened).map(|stage| Box::new(stage) as Box<dyn Stage<P> + 'a>),
        Rl::of(recipe, opened).map(|stage| Box::new(stage) as Box<dyn Stage<P> + 'a>),
    ];
    all.into_iter().flatten().collect()
}
