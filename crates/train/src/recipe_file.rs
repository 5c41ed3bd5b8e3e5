//! Reading a recipe: TOML text, `--set a.b=c` overrides, and errors that name line and column.

use std::path::Path;

use percept_credit::LossAggMode;

use crate::{Error, Recipe};

/// Reads the recipe at `path` and applies `overrides` (each `a.b=value`; the value is TOML, and a
/// bare word is taken as a string).
///
/// # Errors
/// [`Error::Recipe`] with file, line, column and what was expected.
pub fn load(path: &Path, overrides: &[String]) -> Result<Recipe, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text, &path.display().to_string(), overrides)
}

/// Reads a recipe from `text`; `name` stands for it in errors.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, name: &str, overrides: &[String]) -> Result<Recipe, Error> {
    let plain = toml::from_str::<Recipe>(text);
    let recipe = match (plain, overrides) {
        (Ok(recipe), []) => recipe,
        (Err(error), []) => return Err(located(text, name, &error)),
        (plain, overrides) => match (merged(text, name, overrides)?, plain) {
            (Ok(recipe), _) => recipe,
            // The file itself is wrong: its own error has line and column.
            (Err(_), Err(error)) => return Err(located(text, name, &error)),
            (Err(error), Ok(_)) => {
                return Err(Error::Recipe {
                    at: format!("--set {}", overrides.join(" --set ")),
                    message: error.message().trim().to_owned(),
                });
            }
        },
    };
    let recipe = resolve(recipe);
    check(&recipe, name)?;
    Ok(recipe)
}

fn merged(
    text: &str,
    name: &str,
    overrides: &[String],
) -> Result<Result<Recipe, toml::de::Error>, Error> {
    let mut table: toml::Table = toml::from_str(text).map_err(|e| located(text, name, &e))?;
    for entry in overrides {
        set(&mut table, entry)?;
    }
    Ok(Recipe::try_from_table(table))
}

fn set(table: &mut toml::Table, entry: &str) -> Result<(), Error> {
    let bad = |message: String| Error::Recipe {
        at: format!("--set {entry}"),
        message,
    };
    let (path, value) = entry
        .split_once('=')
        .ok_or_else(|| bad("expected key.path=value, for example --set rl.optim.lr=1e-6".into()))?;
    let (path, value) = (path.trim(), value.trim());
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut t| t.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().filter(|k| !k.is_empty());
    let last = last.ok_or_else(|| bad("the key is empty".into()))?;
    let mut here = table;
    for key in keys {
        let next = here
            .entry(key.to_owned())
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        here = next
            .as_table_mut()
            .ok_or_else(|| bad(format!("`{key}` is a value, not a table")))?;
    }
    here.insert(last.to_owned(), parsed);
    Ok(())
}

fn located(text: &str, name: &str, error: &toml::de::Error) -> Error {
    let at = match error.span() {
        Some(span) => {
            let before = &text[..span.start.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
            format!("{name}:{line}:{column}")
        }
        None => name.to_owned(),
    };
    Error::Recipe {
        at,
        message: error.message().trim().to_owned(),
    }
}

/// Fills in what one field takes from another.
fn resolve(mut recipe: Recipe) -> Recipe {
    let loss = &mut recipe.algorithm.loss;
    if loss.loss_agg_mode == LossAggMode::SeqMeanTokenSumNorm && loss.loss_scale_factor.is_none() {
        // Dr.GRPO divides by the longest possible response.
        loss.loss_scale_factor = Some(recipe.rollout.max_completion_length as f64);
    }
    recipe
}

/// What the types cannot say.
fn check(recipe: &Recipe, name: &str) -> Result<(), Error> {
    let problem = |message: &str| {
        Err(Error::Recipe {
            at: name.to_owned(),
            message: message.to_owned(),
        })
    };
    if recipe.model.path.is_some() == recipe.model.tiny.is_some() {
        return problem(
            "model: give exactly one of `path` (a Hugging Face folder) and `[model.tiny]`",
        );
    }
    if recipe.data.digit_sum.is_some() != recipe.data.train_files.is_empty() {
        return problem("data: give either `train_files` or `[data.digit_sum]`");
    }
    if recipe.sft.is_none() && recipe.rl.is_none() {
        return problem("nothing to do: add an `[sft]` table, an `[rl]` table, or both");
    }
    if recipe.sft.as_ref().is_some_and(|s| s.train_batch_size == 0) {
        return problem("sft.train_batch_size is 0; expected at least 1");
    }
    let Some(rl) = &recipe.rl else { return Ok(()) };
    if rl.train_batch_size == 0 || rl.ppo_mini_batch_size == 0 || rl.ppo_epochs == 0 {
        return problem(
            "rl.train_batch_size, rl.ppo_mini_batch_size and rl.ppo_epochs must each be at least 1",
        );
    }
    if rl.ppo_mini_batch_size > rl.train_batch_size {
        return problem("rl.ppo_mini_batch_size is larger than rl.train_batch_size; lower it");
    }
    if recipe.rollout.num_generations < 2 {
        return problem(
            "rollout.num_generations is below 2: a group of one response has no advantage to learn from",
        );
    }
    if recipe.rollout.max_completion_length == 0 {
        return problem("rollout.max_completion_length is 0; expected at least 1");
    }
    let algorithm = &recipe.algorithm;
    let overlong = algorithm.overlong.as_ref();
    let longest = recipe.rollout.max_completion_length;
    let options = algorithm
        .advantage
        .check()
        .and(algorithm.loss.check())
        .and(overlong.map_or(Ok(()), |overlong| overlong.check(longest)));
    if let Err(error) = options {
        return problem(&format!("algorithm: {error}"));
    }
    if recipe.reward.functions.is_empty() {
        return problem(
            "reward.functions is empty: `[rl]` needs at least one, for example [[reward.functions]] name = \"math\"",
        );
    }
    Ok(())
}

impl Recipe {
    fn try_from_table(table: toml::Table) -> Result<Self, toml::de::Error> {
        toml::Value::Table(table).try_into()
    }

    /// The recipe as TOML with every field written out.
    ///
    /// # Errors
    /// [`Error::Recipe`] when a value has no TOML form (a number over 2⁶³).
    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string_pretty(self).map_err(|e| Error::Recipe {
            at: "recipe".into(),
            message: e.to_string(),
        })
    }

    /// JSON Schema of the recipe, for editors.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Recipe).to_value()
    }
}
