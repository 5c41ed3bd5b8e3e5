//! `config.json` in every style that is in use is read the same, written back unchanged, and
//! refused clearly when percept cannot run what it asks for.

#![allow(clippy::unwrap_used)]

mod common;

use common::{TEXT_CASES, VISION_CASES, golden};
use percept_model::{
    Family, ModelConfig, Qwen2VlVision, RopeScaling, SaveDtype, TinyConfig, VisionConfig,
    VisionTokens,
};
use serde_json::{Value, json};

fn read(case: &str, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden(case).join(file)).unwrap()).unwrap()
}

fn parse(value: Value) -> Result<ModelConfig, String> {
    ModelConfig::from_json(value, "config.json").map_err(|error| error.to_string())
}

fn qwen(vision: Option<VisionConfig>) -> Qwen2VlVision {
    match vision {
        Some(VisionConfig::Qwen2Vl(vision)) => vision,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_styles_of_transformers_4_and_5_are_the_same_model() {
    for case in TEXT_CASES.iter().chain(&VISION_CASES) {
        let new = parse(read(case, "config.json")).unwrap();
        let old = parse(read(case, "config_v4.json")).unwrap();
        assert_eq!(new.family, old.family, "{case}");
        assert_eq!(new.text, old.text, "{case}");
        assert_eq!(new.vision, old.vision, "{case}");
        assert_eq!(new.vision_tokens, old.vision_tokens, "{case}");
        assert_eq!(new.tie_word_embeddings, old.tie_word_embeddings, "{case}");
        assert_eq!(new.eos_token_id, old.eos_token_id, "{case}");
        assert_eq!(new.bos_token_id, old.bos_token_id, "{case}");
    }
}

#[test]
fn values_are_those_of_the_file() {
    let llama = parse(read("llama3_rope", "config.json")).unwrap();
    let RopeScaling::Llama3 {
        factor,
        original_max_position_embeddings,
        ..
    } = llama.text.rope.scaling
    else {
        panic!("{:?}", llama.text.rope)
    };
    assert_eq!((factor, original_max_position_embeddings), (8.0, 64.0));
    let qwen3 = parse(read("qwen3", "config.json")).unwrap();
    assert!(qwen3.text.qk_norm && !qwen3.text.qkv_bias);
    assert_eq!(qwen3.text.head_dim, 16);
    let vl = parse(read("qwen2_5_vl", "config.json")).unwrap();
    assert_eq!(vl.family, Family::Qwen25Vl);
    assert_eq!(vl.text.rope.mrope_section, Some([1, 1, 2]));
    let vision = qwen(vl.vision);
    assert_eq!(vision.windows.unwrap().fullatt_block_indexes, [1]);
    assert_eq!((vision.hidden_size, vision.tokens_per_second), (24, 4));
}

#[test]
fn writing_changes_the_dtype_and_nothing_else() {
    for case in TEXT_CASES.iter().chain(&VISION_CASES) {
        for (file, key) in [("config.json", "dtype"), ("config_v4.json", "torch_dtype")] {
            let mut original = read(case, file);
            let written = parse(original.clone()).unwrap().to_json(SaveDtype::Bf16);
            original[key] = json!("bfloat16");
            assert_eq!(written, original, "{case} {file}");
            let again = parse(written).unwrap();
            assert_eq!(again.text, parse(original).unwrap().text);
        }
    }
}

#[test]
fn fields_that_percept_does_not_know_survive() {
    let mut json = read("qwen2", "config.json");
    json["future_option"] = json!({ "a": [1, 2] });
    let written = parse(json).unwrap().to_json(SaveDtype::F32);
    assert_eq!(written["future_option"]["a"][1], 2);
}

#[test]
fn an_unknown_architecture_is_refused_by_name_with_the_list_of_those_supported() {
    let mut json = read("qwen2", "config.json");
    json["architectures"] = json!(["MambaForCausalLM"]);
    let message = parse(json).unwrap_err();
    assert!(message.contains("MambaForCausalLM"), "{message}");
    for family in Family::ALL {
        assert!(message.contains(family.architecture()), "{message}");
    }
}

/// Sets `path` (dots between keys) to a value.
fn set(json: &mut Value, path: &str, value: Value) {
    let mut at = json;
    for key in path.split('.') {
        at = &mut at[key];
    }
    *at = value;
}

#[test]
fn what_percept_cannot_run_is_refused_by_field() {
    let cases = [
        (
            "qwen2",
            "quantization_config",
            json!({ "quant_method": "awq" }),
        ),
        ("qwen2", "hidden_size", json!("48")),
        ("qwen2", "hidden_size", Value::Null),
        ("qwen2", "num_key_value_heads", json!(3)),
        ("qwen2", "num_attention_heads", json!(10)),
        (
            "qwen2",
            "layer_types",
            json!(["full_attention", "sliding_attention"]),
        ),
        ("qwen2", "layer_types", json!(["full_attention"])),
        ("qwen2", "hidden_act", json!("gelu")),
        ("qwen2", "attention_dropout", json!(0.1)),
        ("qwen2", "rope_parameters.rope_type", json!("yarn")),
        ("llama", "mlp_bias", json!(true)),
        ("llama", "rope_parameters.partial_rotary_factor", json!(0.5)),
        ("llama3_rope", "rope_parameters.factor", Value::Null),
        ("llama", "head_dim", json!(13)),
        ("qwen2_5_vl", "vision_config", Value::Null),
        ("qwen2_5_vl", "vision_config.out_hidden_size", json!(31)),
        ("qwen2_5_vl", "vision_config.hidden_size", json!(25)),
        ("qwen2_5_vl", "vision_config.hidden_act", json!("relu")),
        (
            "qwen2_5_vl",
            "vision_config.fullatt_block_indexes",
            json!("all"),
        ),
        ("qwen2_5_vl", "vision_config.patch_size", json!([4, 4])),
        (
            "qwen2_5_vl",
            "vision_config.rope_parameters.rope_type",
            json!("default"),
        ),
        (
            "qwen2_5_vl",
            "text_config.rope_parameters.mrope_section",
            json!([1, 1, 1]),
        ),
        ("qwen2_5_vl", "image_token_id", json!(300)),
    ];
    for (case, path, value) in cases {
        let mut json = read(case, "config.json");
        set(&mut json, path, value.clone());
        let message = parse(json).expect_err(&format!("{path} = {value} was accepted"));
        assert!(
            message.starts_with(&format!("config.json, {path}: ")),
            "{path}: {message}"
        );
    }
}

#[test]
fn a_sliding_window_is_refused_only_when_a_layer_uses_it() {
    let mut json = read("qwen2", "config_v4.json");
    json["use_sliding_window"] = json!(true);
    json["sliding_window"] = json!(32);
    assert!(
        parse(json.clone()).is_ok(),
        "max_window_layers is above the number of layers"
    );
    json["max_window_layers"] = json!(1);
    assert!(parse(json).unwrap_err().contains("use_sliding_window"));
}

#[test]
fn the_tiny_model_is_a_qwen2_5_vl_whose_112_by_56_image_is_32_tokens() {
    let tokens = VisionTokens {
        image: 5,
        video: Some(6),
        start: Some(3),
        end: Some(4),
    };
    let config = TinyConfig::default().config(200, tokens, 2, 0).unwrap();
    assert_eq!(config.family, Family::Qwen25Vl);
    let vision = qwen(config.vision);
    assert_eq!(
        vision.merged_tokens([1, 56 / vision.patch_size, 112 / vision.patch_size]),
        32
    );
    assert_eq!(config.eos_token_id, [2]);
    let wrong = TinyConfig {
        num_attention_heads: 3,
        ..TinyConfig::default()
    };
    assert!(wrong.config(200, tokens, 2, 0).is_err());
}

#[test]
fn tiny_recipes_refuse_fields_they_do_not_know() {
    assert!(serde_json::from_value::<TinyConfig>(json!({ "hidden_size": 64 })).is_ok());
    let message = serde_json::from_value::<TinyConfig>(json!({ "hiden_size": 64 })).unwrap_err();
    assert!(message.to_string().contains("hiden_size"));
}
