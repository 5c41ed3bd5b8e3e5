//! `percept config`: the resolved recipe with the documentation of every field, also of those that
//! are not set.

mod print;
mod schema;

use percept_train::Recipe;

use crate::args::Config;
use crate::output::say;
use crate::{Done, Failure, quickstart};

pub fn run(args: &Config) -> Result<Done, Failure> {
    let schema = Recipe::json_schema();
    if args.schema {
        say!("{}", serde_json::to_string_pretty(&schema)?);
        return Ok(Done::Well);
    }
    let recipe = match &args.recipe {
        Some(path) => percept_train::load(path, &args.set)?,
        None => percept_train::parse(quickstart::RECIPE, "the quick-start recipe", &args.set)?,
    };
    let text = recipe.to_toml()?;
    if args.bare {
        crate::output::result(format_args!("{text}"))?;
        return Ok(Done::Well);
    }
    let printed = print::recipe(&toml::from_str(&text)?, &schema);
    crate::output::result(format_args!("{printed}"))?;
    Ok(Done::Well)
}
