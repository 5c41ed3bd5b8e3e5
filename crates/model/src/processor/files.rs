//! The files of a processor's folder: chat template, special tokens.

use std::path::Path;

use serde_json::Value;

use crate::Error;

/// A JSON file; none when it does not exist.
pub(crate) fn json_file(path: &Path) -> Result<Option<Value>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let parsed = serde_json::from_str(&text);
    Ok(Some(parsed.map_err(Error::json(path))?))
}

/// `chat_template.jinja`, `chat_template.json`, or the tokenizer's own. The second is of the processors of
/// vision-language models: beside a text model's tokenizer transformers does not read it, and it counts last.
pub(crate) fn template_source(
    dir: &Path,
    tokenizer_config: &Value,
    text_only: bool,
) -> Result<Option<String>, Error> {
    let path = dir.join("chat_template.jinja");
    if path.exists() {
        return Ok(Some(
            std::fs::read_to_string(&path).map_err(Error::io(&path))?,
        ));
    }
    let file = json_file(&dir.join("chat_template.json"))?.unwrap_or_default();
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        // Several templates by name.
        Value::Array(all) => all
            .iter()
            .find(|t| t["name"] == "default")
            .and_then(|t| t["template"].as_str().map(str::to_owned)),
        _ => None,
    };
    let (file, own) = (
        text(&file["chat_template"]),
        text(&tokenizer_config["chat_template"]),
    );
    Ok(match text_only {
        true => own.or(file),
        false => file.or(own),
    })
}

/// A special token of tokenizer_config.json: a string, or an object with `content`.
pub(crate) fn special(config: &Value, field: &str) -> Option<String> {
    let value = &config[field];
    value
        .as_str()
        .or_else(|| value["content"].as_str())
        .map(str::to_owned)
}

/// One token id or a list of them.
pub(crate) fn ids(value: &Value) -> Vec<u32> {
    match value {
        Value::Array(all) => all
            .iter()
            .filter_map(Value::as_u64)
            .map(|id| id as u32)
            .collect(),
        value => value.as_u64().map(|id| id as u32).into_iter().collect(),
    }
}
