//! Which stage of a recipe has the methods, and what comes before it.

use percept_train::{AlgorithmConfig, PreferenceOptions, Recipe};

/// The last stage of a recipe that has methods to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// `[dpo]`: preference losses, with equal steps.
    Preference,
    /// `[rl]`: parts of `[algorithm]`, with equal tokens.
    Reinforcement,
}

impl Compared {
    /// None where the recipe has no such stage.
    pub fn of(recipe: &Recipe) -> Option<Self> {
        match (&recipe.rl, &recipe.dpo) {
            (Some(_), _) => Some(Self::Reinforcement),
            (None, Some(_)) => Some(Self::Preference),
            (None, None) => None,
        }
    }

    /// The method that the others are compared with unless the user says another.
    pub fn baseline(self) -> &'static str {
        match self {
            Self::Preference => "dpo",
            Self::Reinforcement => "grpo",
        }
    }

    /// The recipe of the stages before it; none where there are none.
    pub fn before(self, recipe: &Recipe) -> Option<Recipe> {
        let mut recipe = recipe.clone();
        // Options that only the compared stage reads would be reported as idle.
        recipe.rl = None;
        recipe.algorithm = AlgorithmConfig::default();
        if self == Self::Preference {
            without_preferences(&mut recipe);
        }
        (recipe.sft.is_some() || recipe.dpo.is_some()).then_some(recipe)
    }

    /// The recipe of the stage alone.
    pub fn alone(self, recipe: &Recipe) -> Recipe {
        let mut recipe = recipe.clone();
        recipe.sft = None;
        if self == Self::Reinforcement {
            without_preferences(&mut recipe);
        }
        recipe
    }
}

fn without_preferences(recipe: &mut Recipe) {
    recipe.dpo = None;
    recipe.preference = PreferenceOptions::default();
}
