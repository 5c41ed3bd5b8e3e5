//! Reading a recipe: TOML text, `--set a.b=c` overrides, and errors that name line and column.

use std::path::Path;

use percept_credit::LossAggMode;

use crate::recipe::check::check;
use crate::recipe::{foreign_keys, idle, paths};
use crate::{Error, Recipe};

/// Reads the recipe at `path` and applies `overrides` (each `a.b=value`; the value is TOML, and a
/// bare word is taken as a string). Paths in the file are relative to it, those of overrides to the
/// working directory.
///
/// # Errors
/// [`Error::Recipe`] with file, line, column and what was expected.
pub fn load(path: &Path, overrides: &[String]) -> Result<Recipe, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    read(&text, &path.display().to_string(), overrides, folder)
}

/// Reads a recipe from `text`; `name` stands for it in errors. Paths are relative to the working
/// directory.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, name: &str, overrides: &[String]) -> Result<Recipe, Error> {
    read(text, name, overrides, Path::new(""))
}

fn read(text: &str, name: &str, overrides: &[String], folder: &Path) -> Result<Recipe, Error> {
    let mut table: toml::Table = toml::from_str(text).map_err(|e| located(text, name, &e))?;
    paths::from_folder(&mut table, folder);
    for entry in overrides {
        set(&mut table, entry)?;
    }
    let recipe = Recipe::try_from_table(table.clone()).map_err(|error| {
        match toml::from_str::<Recipe>(text) {
            // The file itself is wrong: its own error has line and column.
            Err(own) => located(text, name, &own),
            Ok(_) => Error::Recipe {
                at: format!("--set {}", overrides.join(" --set ")),
                message: explained(error.message(), &table),
            },
        }
    })?;
    check(&recipe, name)?;
    idle::refused(&table, &recipe).map_err(|message| Error::Recipe {
        at: name.to_owned(),
        message,
    })?;
    Ok(recipe)
}

/// What serde says of a key that it does not know, and what the key is called here.
fn explained(message: &str, table: &toml::Table) -> String {
    let message = message.trim();
    match foreign_keys::help(message, table) {
        Some(help) => format!("{message}\n{help}"),
        None => message.to_owned(),
    }
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
    let table = toml::from_str(text).unwrap_or_default();
    Error::Recipe {
        at,
        message: explained(error.message(), &table),
    }
}

impl Recipe {
    fn try_from_table(table: toml::Table) -> Result<Self, toml::de::Error> {
        toml::Value::Table(table).try_into()
    }

    /// The recipe as it is kept in `folder`: every field written out, paths relative to the folder.
    ///
    /// # Errors
    /// Those of [`Recipe::to_toml`].
    pub fn to_toml_in(&self, folder: &Path) -> Result<String, Error> {
        let unwritable = |e: toml::ser::Error| Error::Recipe {
            at: "recipe".into(),
            message: e.to_string(),
        };
        let mut table = toml::Table::try_from(self.settled()?).map_err(unwritable)?;
        paths::for_folder(&mut table, folder);
        toml::to_string_pretty(&table).map_err(unwritable)
    }

    /// The recipe with what one field takes from another filled in: the mini-batch, and what the chosen
    /// methods' authors set in the loss.
    ///
    /// # Errors
    /// [`Error::Recipe`] when two parts say one number differently.
    pub fn settled(&self) -> Result<Self, Error> {
        let mut recipe = self.clone();
        if let Some(rl) = &mut recipe.rl {
            rl.ppo_mini_batch_size = Some(rl.mini_batch_size());
        }
        let algorithm = &mut recipe.algorithm;
        let settled = algorithm
            .loss
            .settle(&algorithm.advantage, &mut algorithm.token_weight);
        settled.map_err(|e| Error::Recipe {
            at: "recipe".into(),
            message: format!("algorithm: {e}"),
        })?;
        let loss = &mut algorithm.loss;
        if loss.agg_mode() == LossAggMode::SeqMeanTokenSumNorm && loss.loss_scale_factor.is_none() {
            // Dr.GRPO divides by the longest possible response.
            loss.loss_scale_factor = Some(recipe.rollout.max_completion_length as f64);
        }
        Ok(recipe)
    }

    /// The recipe as TOML with every field written out, [settled](Self::settled).
    ///
    /// # Errors
    /// [`Error::Recipe`] when a value has no TOML form (a number over 2⁶³).
    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string_pretty(&self.settled()?).map_err(|e| Error::Recipe {
            at: "recipe".into(),
            message: e.to_string(),
        })
    }
}
