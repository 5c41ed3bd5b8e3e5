//! The built-in recipe.

/// The recipe of `percept quickstart`.
pub const RECIPE: &str = include_str!("../../recipes/quickstart.toml");

/// What `percept quickstart --short` changes: fewer steps, fewer questions.
pub const SHORT: &str = include_str!("../../recipes/quickstart-short.txt");
