//! `percept config`: the resolved recipe with the documentation of every field, also of those that
//! are not set.

mod print;
mod schema;

use std::path::PathBuf;

use clap::Args;
use percept_train::Recipe;

use crate::shared::output::say;
use crate::shared::quickstart_recipe;
use crate::shared::{Done, Failure, Global};

/// Print a recipe with every option, its value, its default and its documentation.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  percept config recipe.toml                 every field with its value and documentation
  percept config --quickstart                the built-in recipe
  percept config --schema > recipe.schema.json")]
pub struct Config {
    /// Recipe file (TOML); paths in it are relative to it.
    #[arg(required_unless_present_any = ["schema", "quickstart"])]
    pub recipe: Option<PathBuf>,
    /// Override a field of the recipe; paths are relative to the working directory.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print the JSON Schema of recipes instead.
    #[arg(long)]
    pub schema: bool,
    /// Print the recipe of `percept quickstart`.
    #[arg(long, conflicts_with = "recipe")]
    pub quickstart: bool,
    /// Leave out the documentation and the options that are not set.
    #[arg(long)]
    pub bare: bool,
}

pub fn run(args: &Config, _: &Global) -> Result<Done, Failure> {
    let schema = Recipe::json_schema();
    if args.schema {
        say!("{}", serde_json::to_string_pretty(&schema)?);
        return Ok(Done::Well);
    }
    let recipe = match &args.recipe {
        Some(path) => percept_train::load(path, &args.set)?,
        None => percept_train::parse(
            quickstart_recipe::RECIPE,
            "the quick-start recipe",
            &args.set,
        )?,
    };
    let text = recipe.to_toml()?;
    if args.bare {
        crate::shared::output::result(format_args!("{text}"))?;
        return Ok(Done::Well);
    }
    let printed = print::recipe(&toml::from_str(&text)?, &schema);
    crate::shared::output::result(format_args!("{printed}"))?;
    Ok(Done::Well)
}
