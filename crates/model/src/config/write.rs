//! Writing `config.json`: what was read, with only the changes that saving makes.

use std::path::Path;

use percept_weights::write_json;
use serde_json::{Map, Value, json};

use crate::{Error, ModelConfig, SaveDtype};

impl ModelConfig {
    /// The content of `config.json` for weights saved as `dtype`. All other fields, known or
    /// not, are those that were read.
    pub fn to_json(&self, dtype: SaveDtype) -> Value {
        let mut json = self.json.clone();
        set_dtype(&mut json, dtype, true);
        for part in ["text_config", "vision_config"] {
            if let Some(Value::Object(part)) = json.get_mut(part) {
                set_dtype(part, dtype, false);
            }
        }
        let nested = json
            .get("text_config")
            .and_then(|t| t.get("tie_word_embeddings"));
        if nested.is_none() || json.contains_key("tie_word_embeddings") {
            json.insert(
                "tie_word_embeddings".into(),
                json!(self.tie_word_embeddings),
            );
        }
        self.attention.write(&mut json);
        Value::Object(json)
    }

    /// Writes `config.json` into a folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, dir: &Path, dtype: SaveDtype) -> Result<(), Error> {
        let path = dir.join("config.json");
        Ok(write_json(&path, &self.to_json(dtype))?)
    }
}

/// transformers 5 says `dtype`, 4 says `torch_dtype`; both read both.
fn set_dtype(json: &mut Map<String, Value>, dtype: SaveDtype, required: bool) {
    let mut found = false;
    for key in ["dtype", "torch_dtype"] {
        if let Some(value) = json.get_mut(key) {
            *value = json!(dtype.name());
            found = true;
        }
    }
    if required && !found {
        json.insert("torch_dtype".into(), json!(dtype.name()));
    }
}
