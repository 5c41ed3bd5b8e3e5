//! `--reward`: a reward function by name, as a table of options, or as a Python file.

use std::str::FromStr;

use percept_reward::FunctionConfig;
use serde::Deserialize;

/// The value of `--reward`.
#[derive(Debug, Clone, PartialEq)]
pub struct RewardArg(FunctionConfig);

impl RewardArg {
    /// The function with its options.
    pub fn function(&self) -> &FunctionConfig {
        &self.0
    }
}

impl FromStr for RewardArg {
    type Err = String;

    /// A name (`math`), a TOML table (`{ name = "python", path = "f.py" }`, whose braces may be left out), a
    /// JSON object, or a Python file (`f.py`, `f.py:function`).
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let table = if let Some((path, function)) = python(text) {
            let mut table = toml::Table::from_iter([
                ("name".to_owned(), "python".into()),
                ("path".to_owned(), path.into()),
            ]);
            if let Some(function) = function {
                table.insert("function".to_owned(), function.into());
            }
            table
        } else if text.starts_with('{') || text.contains('=') {
            options(text)?
        } else {
            toml::Table::from_iter([("name".to_owned(), text.into())])
        };
        FunctionConfig::deserialize(table)
            .map(Self)
            .map_err(|e| e.message().to_owned())
    }
}

fn options(text: &str) -> Result<toml::Table, String> {
    if let Ok(table) = serde_json::from_str::<toml::Table>(text) {
        return Ok(table);
    }
    let braces = match text.starts_with('{') {
        true => text.to_owned(),
        false => format!("{{ {text} }}"),
    };
    let outer = toml::from_str::<toml::Table>(&format!("reward = {braces}"));
    let value = outer.map_err(|e| e.message().to_owned())?.remove("reward");
    match value {
        Some(toml::Value::Table(table)) => Ok(table),
        _ => Err("expected a table, for example '{ name = \"math\" }'".to_owned()),
    }
}

/// Path and function of `f.py` and `f.py:function`.
fn python(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('{') || text.contains('=') {
        return None;
    }
    if text.ends_with(".py") {
        return Some((text, None));
    }
    let (path, function) = text.rsplit_once(':')?;
    path.ends_with(".py").then_some((path, Some(function)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_reward::FunctionKind;

    fn kind(text: &str) -> FunctionKind {
        let arg: RewardArg = text.parse().unwrap();
        arg.function().kind.clone()
    }

    #[test]
    fn a_name_a_table_and_a_python_file_are_reward_functions() {
        assert_eq!(kind("math").name(), "math");
        for text in [
            "{ name = \"iou\", threshold = 0.5 }",
            "name = \"iou\", threshold = 0.5",
            "{\"name\": \"iou\", \"threshold\": 0.5}",
        ] {
            let FunctionKind::Iou(iou) = kind(text) else {
                panic!("{text}")
            };
            assert_eq!(iou.threshold, Some(0.5));
        }
        for (text, function) in [("my/f.py", None), ("my/f.py:reward", Some("reward"))] {
            let FunctionKind::PythonFunction(python) = kind(text) else {
                panic!("{text}")
            };
            assert_eq!(python.path.to_str(), Some("my/f.py"));
            assert_eq!(python.function.as_deref(), function);
        }
        for (text, word) in [
            ("maths", "accuracy"),
            ("{ name = \"iou\", treshold = 1 }", "treshold"),
            ("{ name = ", "inline table"),
            ("{ threshold = 0.5 }", "name"),
        ] {
            let error = text.parse::<RewardArg>().unwrap_err();
            assert!(!error.is_empty(), "{text}");
            assert!(error.contains(word) || word == "inline table", "{error}");
        }
    }
}
