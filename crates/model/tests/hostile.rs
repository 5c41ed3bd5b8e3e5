//! Files from anybody: absurd numbers, broken headers, bombs. Each ends in an error that names the place, before
//! memory is asked for.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use percept_model::{Device, Model, ModelConfig, Processor};
use serde_json::{Value, json};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn copy(name: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for entry in fs::read_dir(golden(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn absurd_sizes_in_config_json_are_refused_by_name() {
    for (model, style) in [
        ("qwen2_5_vl", "config.json"),
        ("qwen2_vl", "config_v4.json"),
    ] {
        let config = json_of(&golden(model).join(style));
        let nested = config.get("text_config").is_some();
        for (field, vision) in [
            ("hidden_size", false),
            ("num_hidden_layers", false),
            ("num_attention_heads", false),
            ("num_key_value_heads", false),
            ("intermediate_size", false),
            ("vocab_size", false),
            ("head_dim", false),
            ("depth", true),
            ("num_heads", true),
            ("patch_size", true),
            ("temporal_patch_size", true),
            ("spatial_merge_size", true),
            ("hidden_size", true),
            ("in_channels", true),
        ] {
            for absurd in [
                json!(0),
                json!(-1),
                json!(1u64 << 39),
                json!(u64::MAX),
                json!(1e300),
                json!("many"),
                json!(2.5),
            ] {
                let mut config = config.clone();
                let table = match (vision, nested) {
                    (true, _) => &mut config["vision_config"],
                    (false, true) => &mut config["text_config"],
                    (false, false) => &mut config,
                };
                table[field] = absurd.clone();
                let error = ModelConfig::from_json(config, "config.json")
                    .unwrap_err()
                    .to_string();
                assert!(error.contains("config.json"), "{field} = {absurd}: {error}");
                assert!(error.contains("found"), "{field} = {absurd}: {error}");
            }
        }
        let mut config = config.clone();
        let table = if nested {
            &mut config["text_config"]
        } else {
            &mut config
        };
        let rope = if table.get("rope_parameters").is_some() {
            "rope_parameters"
        } else {
            "rope_scaling"
        };
        // Adds up to the right number in 64 bits.
        table[rope]["mrope_section"] = json!([1u64 << 63, 1u64 << 63, 4]);
        assert!(
            ModelConfig::from_json(config, "config.json")
                .unwrap_err()
                .to_string()
                .contains("mrope_section")
        );
    }
}

/// Each number is possible; the machine cannot hold what they make together.
#[test]
fn weights_beyond_the_machine_s_memory_are_refused_before_they_are_made() {
    let folder = copy("qwen2");
    let path = folder.path().join("config.json");
    let mut config = json_of(&path);
    for (field, value) in [
        ("hidden_size", 1 << 20),
        ("intermediate_size", 1 << 24),
        ("vocab_size", 1 << 24),
        ("num_hidden_layers", 64),
    ] {
        config[field] = json!(value);
    }
    config["layer_types"] = Value::Null;
    fs::write(&path, config.to_string()).unwrap();
    let config = ModelConfig::load(folder.path()).unwrap();
    let error = Model::init(config, 0, &Device::flex())
        .unwrap_err()
        .to_string();
    assert!(error.contains("GiB") && error.contains("memory"), "{error}");
    assert!(Model::load(folder.path(), &Device::flex()).is_err());
}

/// A safetensors file of this header.
fn file(header: &[u8], length: u64, data: usize) -> Vec<u8> {
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn broken_headers_of_safetensors_are_refused() {
    let folder = copy("qwen2");
    let path = folder.path().join("model.safetensors");
    let tensor = |dtype: &str, shape: Value, from: Value, to: Value| json!({"dtype": dtype, "shape": shape, "data_offsets": [from, to]});
    let header = |value: Value| {
        let text = value.to_string().into_bytes();
        let length = text.len() as u64;
        file(&text, length, 64)
    };
    let one = |dtype: &str, shape: Value, from: Value, to: Value| {
        header(json!({"a": tensor(dtype, shape, from, to)}))
    };
    let whole = fs::read(&path).unwrap();
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("seven bytes", vec![0; 7]),
        ("a header of 2^64 - 1 bytes", file(b"{}", u64::MAX, 0)),
        ("a header that wraps", file(b"{}", u64::MAX - 7, 0)),
        ("a header of 101 MB", file(b"{}", 101_000_000, 0)),
        ("a header longer than the file", file(b"{}", 3, 0)),
        ("no JSON", file(b"{{", 2, 0)),
        ("no UTF-8", file(b"\"\xff\xfe\"", 4, 0)),
        (
            "deep JSON",
            file("[".repeat(100_000).as_bytes(), 100_000, 0),
        ),
        (
            "overlap",
            header(json!({
                "a": tensor("F32", json!([8]), json!(0), json!(32)),
                "b": tensor("F32", json!([8]), json!(16), json!(48)),
            })),
        ),
        ("a hole", one("F32", json!([8]), json!(32), json!(64))),
        ("backwards", one("F32", json!([8]), json!(32), json!(0))),
        (
            "a negative offset",
            one("F32", json!([8]), json!(-32), json!(0)),
        ),
        (
            "beyond the file",
            one("F32", json!([1u64 << 40]), json!(0), json!(1u64 << 42)),
        ),
        (
            "a shape that wraps",
            one("F32", json!([1u64 << 62, 4, 4]), json!(0), json!(64)),
        ),
        (
            "a shape of another size",
            one("F32", json!([9]), json!(0), json!(32)),
        ),
        (
            "a negative shape",
            one("F32", json!([-8]), json!(0), json!(32)),
        ),
        (
            "an unknown type",
            one("F33", json!([8]), json!(0), json!(32)),
        ),
        ("cut off", whole[..whole.len() - 1].to_vec()),
        (
            "bytes behind the last tensor",
            [&whole[..], &[0; 9]].concat(),
        ),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Model::load(folder.path(), &Device::flex())
            .unwrap_err()
            .to_string();
        assert!(error.contains("model.safetensors"), "{what}: {error}");
    }
}

#[test]
fn bombs_in_a_tokenizer_are_refused() {
    let twice = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
    let anywhere =
        json!({"type": "Replace", "pattern": {"Regex": ""}, "content": "x".repeat(10_000)});
    let all = |steps: Vec<Value>| json!({"type": "Sequence", "normalizers": steps});
    let change = |change: &dyn Fn(&mut Value)| {
        let folder = copy("processor");
        let path = folder.path().join("tokenizer.json");
        let mut file = json_of(&path);
        change(&mut file);
        fs::write(&path, file.to_string()).unwrap();
        folder
    };
    let load = |folder: &TempDir| match Processor::load(folder.path()) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    for bomb in [
        all(vec![twice.clone(); 40]),
        anywhere.clone(),
        all(vec![all(vec![twice; 20]), anywhere]),
    ] {
        let error = load(&change(&|file| file["normalizer"] = bomb.clone()));
        assert!(
            error.contains("tokenizer.json") && error.contains("longer"),
            "{error}"
        );
    }
    for field in ["normalizer", "pre_tokenizer", "decoder"] {
        let unknown = json!({"type": "Exec", "command": "rm"});
        assert!(load(&change(&|file| file[field] = unknown.clone())).contains("tokenizer.json"));
    }
    let folder = copy("processor");
    let path = folder.path().join("tokenizer.json");
    for text in [
        "[".repeat(200_000),
        "{\"normalizer\":".repeat(200_000),
        "{}".into(),
        "null".into(),
    ] {
        fs::write(&path, text).unwrap();
        assert!(load(&folder).contains("tokenizer.json"));
    }
    // Ids that no model has are refused where the model looks them up.
    let far = change(&|file| file["model"]["vocab"]["!"] = json!(4_000_000_000u32));
    let processor = Processor::load(far.path()).unwrap();
    let tokens = processor.encode("!").unwrap();
    let model = Model::load(&golden("qwen2"), &Device::flex()).unwrap();
    let batch = percept_model::PackedBatch {
        positions: vec![[0; 3]; tokens.len()],
        layout: std::sync::Arc::new(percept_nn::Layout::packed(&[tokens.len()])),
        tokens,
        ..Default::default()
    };
    let error = model.forward_no_grad(&batch).unwrap_err().to_string();
    assert!(error.contains("vocab_size"), "{error}");
}

/// D11
#[test]
fn template_files_count_in_the_order_of_transformers() {
    let folder = copy("processor");
    let at = |name: &str| folder.path().join(name);
    fs::remove_file(at("chat_template.jinja")).unwrap();
    fs::write(
        at("chat_template.json"),
        json!({"chat_template": "of the processor"}).to_string(),
    )
    .unwrap();
    let mut config = json_of(&at("tokenizer_config.json"));
    config["chat_template"] = json!("of the tokenizer");
    fs::write(at("tokenizer_config.json"), config.to_string()).unwrap();
    let question = || {
        percept_data::Sample::new(
            "q",
            vec![percept_data::Message::text(percept_data::Role::User, "hi")],
        )
    };
    let text = || {
        Processor::load(folder.path())
            .unwrap()
            .prompt(&question())
            .unwrap()
            .text
    };
    assert_eq!(text(), "of the processor");
    // A text model has no processor.
    fs::write(
        at("config.json"),
        json!({"model_type": "qwen2"}).to_string(),
    )
    .unwrap();
    assert_eq!(text(), "of the tokenizer");
    fs::write(at("chat_template.jinja"), "of the file").unwrap();
    assert_eq!(text(), "of the file");
}

/// D11: weights in other formats.
#[test]
fn other_formats_are_named_with_the_way_to_convert() {
    let folder = copy("qwen2");
    let weights = folder.path().join("model.safetensors");
    for (name, word) in [
        ("pytorch_model.bin", "transformers"),
        ("model-q4.gguf", "GGUF"),
    ] {
        let other = folder.path().join(name);
        fs::rename(&weights, &other).unwrap();
        let error = Model::load(folder.path(), &Device::flex())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("safetensors") && error.contains(word),
            "{error}"
        );
        fs::rename(&other, &weights).unwrap();
    }
    fs::remove_file(&weights).unwrap();
    let error = Model::load(folder.path(), &Device::flex())
        .unwrap_err()
        .to_string();
    assert!(error.contains("interrupted"), "{error}");
}

/// D11: a head beside tied embeddings.
#[test]
fn a_head_that_differs_from_tied_embeddings_is_refused_with_both_ways_out() {
    let folder = copy("qwen2");
    let path = folder.path().join("config.json");
    let mut config = json_of(&path);
    config["tie_word_embeddings"] = json!(true);
    fs::write(&path, config.to_string()).unwrap();
    let error = Model::load(folder.path(), &Device::flex())
        .unwrap_err()
        .to_string();
    for word in [
        "config.json",
        "tie_word_embeddings",
        "set it to false",
        "remove the tensor",
    ] {
        assert!(error.contains(word), "{error}");
    }
}
