//! `config.json`: accepted or refused; what is accepted is written so that it reads back the same.

use percept_model::{ModelConfig, SaveDtype};
use serde_json::{Value, json};

/// Fields and values.
pub const PIECES: &[&str] = &[
    "\"hidden_size\": ",
    "\"vocab_size\": ",
    "\"num_hidden_layers\": ",
    "\"num_attention_heads\": ",
    "\"num_key_value_heads\": ",
    "\"intermediate_size\": ",
    "\"head_dim\": ",
    "\"rope_theta\": ",
    "\"rope_scaling\": ",
    "\"rope_parameters\": ",
    "\"rms_norm_eps\": ",
    "\"tie_word_embeddings\": ",
    "\"eos_token_id\": ",
    "\"vision_config\": ",
    "\"text_config\": ",
    "\"architectures\": ",
    "\"model_type\": ",
    "\"image_token_id\": ",
    "\"use_sliding_window\": ",
    "\"layer_types\": ",
    "0",
    "1",
    "2",
    "32",
    "64",
    "-1",
    "1.5",
    "1e300",
    "true",
    "null",
    "\"qwen2\"",
    "\"llama\"",
    "\"qwen3\"",
    "\"qwen2_vl\"",
    "\"qwen2_5_vl\"",
    "[\"LlamaForCausalLM\"]",
    "[1, 2]",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"type\": \"mrope\"",
    "\"mrope_section\": [1, 1, 1]",
    "\"rope_type\": \"llama3\"",
    "\"factor\": 8",
    "1099511627776",
];

/// A model that is accepted.
fn good(kind: u8) -> Value {
    let kind = ["llama", "qwen2", "qwen3", "qwen2_vl", "qwen2_5_vl"][usize::from(kind) % 5];
    json!({
        "model_type": kind, "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "rms_norm_eps": 1e-6, "eos_token_id": 2,
        "image_token_id": 5, "video_token_id": 6, "vision_start_token_id": 3, "vision_end_token_id": 4,
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "vision_config": {"depth": 1, "hidden_size": 32, "num_heads": 2, "embed_dim": 32, "out_hidden_size": 32},
    })
}

/// The data as a whole file, and as fields that replace those of a good one.
pub fn fuzz(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice(data) {
        check(value);
    }
    let text = format!("{{{}}}", crate::text(data));
    if let Ok(Value::Object(fields)) = serde_json::from_str(&text) {
        let mut value = good(data.len() as u8);
        for (field, found) in fields {
            value[field] = found;
        }
        check(value);
    }
}

fn check(value: Value) {
    let Ok(config) = ModelConfig::from_json(value, "config.json") else {
        return;
    };
    let written = config.to_json(SaveDtype::F32);
    let again = ModelConfig::from_json(written.clone(), "config.json");
    let again = again.unwrap_or_else(|error| panic!("{error}\n{written}"));
    assert_eq!(written, again.to_json(SaveDtype::F32));
}
