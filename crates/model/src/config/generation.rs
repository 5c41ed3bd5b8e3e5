//! generation_config.json: how a model's makers would sample from it.

use serde_json::{Map, Value};

use crate::Error;
use crate::config::fields::Fields;

/// What generation_config.json recommends, under the names of vLLM and Hugging Face. Absent fields are `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GenerationConfig {
    /// Softmax temperature; 0 where the file says `do_sample: false`.
    pub temperature: Option<f32>,
    /// Nucleus.
    pub top_p: Option<f32>,
    /// Only the k likeliest tokens (0: off).
    pub top_k: Option<usize>,
    /// Only tokens with this share of the likeliest one's probability.
    pub min_p: Option<f32>,
    /// Penalty on tokens of prompt and response.
    pub repetition_penalty: Option<f32>,
    /// Longest response in tokens.
    pub max_new_tokens: Option<usize>,
    /// Texts that end a response.
    pub stop_strings: Vec<String>,
    /// Settings that change responses and that percept does not have, as `name = value`.
    pub unsupported: Vec<String>,
}

/// Fields that change what is generated, with the value that changes nothing.
const OTHERS: [(&str, f64); 12] = [
    ("no_repeat_ngram_size", 0.0),
    ("encoder_repetition_penalty", 1.0),
    ("num_beams", 1.0),
    ("num_beam_groups", 1.0),
    ("diversity_penalty", 0.0),
    ("penalty_alpha", 0.0),
    ("typical_p", 1.0),
    ("epsilon_cutoff", 0.0),
    ("eta_cutoff", 0.0),
    ("min_length", 0.0),
    ("min_new_tokens", 0.0),
    ("guidance_scale", 1.0),
];
/// Fields that change what is generated whenever they are there.
const LISTS: [&str; 7] = [
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
    "sequence_bias",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "exponential_decay_length_penalty",
];

impl GenerationConfig {
    /// Reads the parsed file; `file` is named in errors.
    ///
    /// # Errors
    /// [`Error::Config`] for a field of the wrong type or out of its range.
    pub fn from_json(value: &Value, file: &str) -> Result<Self, Error> {
        let none = Map::new();
        let fields = Fields {
            map: value.as_object().unwrap_or(&none),
            path: String::new(),
            file,
        };
        let within = |name: &str, expected: &str, ok: fn(f64) -> bool| match fields.number(name)? {
            Some(found) if !ok(found) => {
                let message = format!("found {found}, expected {expected}");
                Err(fields.error(name, message))
            }
            found => Ok(found.map(|found| found as f32)),
        };
        let whole = |name: &str| match fields.number(name)? {
            Some(found) if !(0.0..1e15).contains(&found) || found.fract() != 0.0 => {
                let message = format!("found {found}, expected a whole number");
                Err(fields.error(name, message))
            }
            found => Ok(found.map(|found| found as usize)),
        };
        let mut out = Self {
            temperature: within("temperature", "0 or more", |t| t >= 0.0)?,
            top_p: within("top_p", "above 0 and at most 1", |p| p > 0.0 && p <= 1.0)?,
            top_k: whole("top_k")?,
            min_p: within("min_p", "0 to 1", |p| (0.0..=1.0).contains(&p))?,
            repetition_penalty: within("repetition_penalty", "above 0", |r| r > 0.0)?,
            max_new_tokens: whole("max_new_tokens")?.filter(|n| *n > 0),
            stop_strings: match &value["stop_strings"] {
                Value::String(one) => vec![one.clone()],
                Value::Array(all) => all
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
                _ => Vec::new(),
            },
            unsupported: Vec::new(),
        };
        if fields.bool("do_sample")? == Some(false) {
            out.temperature = Some(0.0);
        }
        for (name, off) in OTHERS {
            if value[name].as_f64().is_some_and(|found| found != off) {
                out.unsupported.push(format!("{name} = {}", value[name]));
            }
        }
        for name in LISTS {
            let empty = |v: &Value| v.is_null() || v.as_array().is_some_and(Vec::is_empty);
            if !empty(&value[name]) {
                out.unsupported.push(format!("{name} = {}", value[name]));
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// D8: Qwen2.5-VL's file.
    #[test]
    fn what_the_makers_recommend_is_read() {
        let file = json!({
            "bos_token_id": 151643, "pad_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643],
            "repetition_penalty": 1.05, "temperature": 0.1, "top_p": 0.001, "top_k": 1, "transformers_version": "4.49.0",
        });
        let found = GenerationConfig::from_json(&file, "f").unwrap();
        assert_eq!(found.repetition_penalty, Some(1.05));
        assert_eq!(
            (found.temperature, found.top_p, found.top_k),
            (Some(0.1), Some(0.001), Some(1))
        );
        assert!(found.unsupported.is_empty());
        let greedy = json!({"do_sample": false, "temperature": null, "top_p": 0.8});
        let greedy = GenerationConfig::from_json(&greedy, "f").unwrap();
        assert_eq!(greedy.temperature, Some(0.0));
    }

    #[test]
    fn what_percept_does_not_have_is_named_and_nonsense_is_refused() {
        let file = json!({"no_repeat_ngram_size": 3, "num_beams": 1, "suppress_tokens": [1], "bad_words_ids": null});
        let found = GenerationConfig::from_json(&file, "f").unwrap();
        assert_eq!(
            found.unsupported,
            ["no_repeat_ngram_size = 3", "suppress_tokens = [1]"]
        );
        for (field, value) in [
            ("repetition_penalty", json!(0)),
            ("temperature", json!("hot")),
            ("top_k", json!(1.5)),
            ("top_p", json!(2)),
        ] {
            let error = GenerationConfig::from_json(&json!({field: value}), "g.json").unwrap_err();
            assert!(error.to_string().contains(field) && error.to_string().contains("g.json"));
        }
    }
}
