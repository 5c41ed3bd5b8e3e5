//! Adapters as PEFT, ms-swift and LLaMA-Factory write them.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::*;
use percept_model::{
    Error, Layers, LoraConfig, Model, PackedBatch, Patterns, SaveDtype, TargetModules,
};
use serde_json::{Value, json};
use tempfile::TempDir;

fn batch() -> PackedBatch {
    let inputs = File::open("qwen2_5_vl", "inputs.safetensors");
    pack(&[&prompt(&inputs, "image."), &prompt(&inputs, "text.")])
}

fn hidden(model: &Model) -> Vec<f32> {
    values(model.forward(&batch()).unwrap())
}

/// Every trainable value moved.
fn trained(config: &LoraConfig) -> Model {
    let mut model = load("qwen2_5_vl");
    model.add_lora(config, 3).unwrap();
    for param in model.parameters_mut().iter_mut().filter(|p| p.trainable()) {
        param.update(|values| {
            for (i, value) in values.iter_mut().enumerate() {
                *value += ((i * 37 % 11) as f32 - 5.0) * 0.01;
            }
        });
    }
    model
}

fn one(text: &str) -> TargetModules {
    TargetModules::One(text.into())
}

fn saved(model: &Model) -> TempDir {
    let dir = TempDir::new().unwrap();
    model.save_adapter(dir.path(), SaveDtype::F32).unwrap();
    dir
}

fn edit(dir: &Path, change: impl FnOnce(&mut Value)) {
    let path = dir.join("adapter_config.json");
    let mut config = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(path, config.to_string()).unwrap();
}

fn loaded(dir: &TempDir) -> Result<Model, String> {
    let mut model = load("qwen2_5_vl");
    model.load_lora(dir.path()).map_err(|e| e.to_string())?;
    Ok(model)
}

/// D6: `target_modules` as ms-swift writes it, for the names of transformers today and before 4.52.
#[test]
fn a_regular_expression_selects_the_layers_that_the_file_has() {
    let decoder = one(r"^(model\.language_model(?=\.).*\.(q_proj|v_proj|up_proj))$");
    let model = trained(&LoraConfig {
        target_modules: decoder,
        ..LoraConfig::default()
    });
    let dir = saved(&model);
    for target in [
        json!(r"^(model.language_model(?=\.).*\.(up_proj|q_proj|v_proj))$"),
        json!(r"^(?!.*visual).*(?:q_proj|v_proj|up_proj).*"),
        json!(r"model\.layers\.\d+\.(self_attn\.[qv]_proj|mlp\.up_proj)"),
        json!(r"^(model)(?!.*(k_proj|o_proj|gate_proj|down_proj|lm_head|output|emb|wte|shared)).*"),
    ] {
        edit(dir.path(), |config| {
            config["target_modules"] = target.clone()
        });
        let again = loaded(&dir).unwrap_or_else(|e| panic!("{target}: {e}"));
        assert_eq!(hidden(&again), hidden(&model), "{target}");
    }
    // More layers than the file has, and fewer.
    for (target, word) in [
        (json!(".*language_model.*_proj"), "missing"),
        (json!(".*language_model.*q_proj"), "target_modules selects"),
        (json!("q_proj"), "whole path"),
        (json!("(q_proj"), "regular expression"),
    ] {
        edit(dir.path(), |config| {
            config["target_modules"] = target.clone()
        });
        let error = loaded(&dir).unwrap_err();
        assert!(error.contains(word), "{target}: {error}");
    }
}

/// D6
#[test]
fn ranks_alphas_layers_and_exceptions_survive_a_round_trip() {
    let names =
        |names: &[&str]| TargetModules::Many(names.iter().map(|n| (*n).to_owned()).collect());
    let config = LoraConfig {
        r: 4,
        lora_alpha: 8.0,
        target_modules: names(&["q_proj", "up_proj", "qkv"]),
        exclude_modules: Some(names(&["blocks.1.mlp.up_proj"])),
        layers_to_transform: Some(Layers::Many(vec![1, 2])),
        rank_pattern: Patterns(vec![("self_attn.q_proj".into(), 2)]),
        alpha_pattern: Patterns(vec![(r"blocks\.\d+\.attn\.qkv".into(), 3.0)]),
        ..LoraConfig::default()
    };
    let model = trained(&config);
    let shapes: Vec<_> = model
        .parameters()
        .iter()
        .filter(|p| p.name().contains("lora_A"))
        .collect();
    for param in &shapes {
        let rank = if param.name().contains("q_proj") {
            2
        } else {
            4
        };
        assert_eq!(param.shape()[0], rank, "{}", param.name());
        assert!(!param.name().contains("s.0."), "{}", param.name());
    }
    // Decoder: q and up of layer 1; tower: qkv of blocks 1 and 2, up of block 2.
    assert_eq!(shapes.len(), 5);
    let dir = saved(&model);
    assert_eq!(hidden(&loaded(&dir).unwrap()), hidden(&model));
    // W + alpha / r · B A, with the layer's own.
    let weight = "visual.blocks.1.attn.qkv.weight";
    let param = |end: &str| {
        let found = model
            .parameters()
            .iter()
            .find(|p| p.name().ends_with(end))
            .unwrap();
        (found.to_vec(), found.shape().to_vec())
    };
    let (a, b) = (
        param("blocks.1.attn.qkv.lora_A.weight"),
        param("blocks.1.attn.qkv.lora_B.weight"),
    );
    let base = load("qwen2_5_vl").parameter(weight).unwrap().to_vec();
    let merged = model.effective_values(weight).unwrap();
    let (rank, columns) = (a.1[0], a.1[1]);
    for (i, value) in merged.iter().enumerate() {
        let (row, column) = (i / columns, i % columns);
        let product: f32 = (0..rank)
            .map(|k| b.0[row * rank + k] * a.0[k * columns + column])
            .sum();
        assert!((value - (base[i] + product * 3.0 / 4.0)).abs() < 1e-5);
    }
}

/// D6: modules that are trained whole.
#[test]
fn whole_modules_are_trained_saved_loaded_and_taken_back() {
    let config = LoraConfig {
        target_modules: one(r".*(q_proj|merger\.mlp\.0)"),
        modules_to_save: vec!["lm_head".into(), "merger".into(), "embed_tokens".into()],
        ..LoraConfig::default()
    };
    let model = trained(&config);
    let whole = |name: &str| {
        name.contains("merger") || name == "lm_head.weight" || name.contains("embed_tokens")
    };
    for param in model.parameters() {
        let adapter = param.name().contains("lora_");
        assert_eq!(
            param.trainable(),
            adapter || whole(param.name()),
            "{}",
            param.name()
        );
        assert!(
            !(adapter && param.name().contains("merger")),
            "{}",
            param.name()
        );
    }
    // The reference is the model before.
    let before = load("qwen2_5_vl");
    assert_eq!(hidden(&model.without_lora()), hidden(&before));
    assert_eq!(
        model
            .without_lora()
            .parameter("lm_head.weight")
            .unwrap()
            .to_vec(),
        before.parameter("lm_head.weight").unwrap().to_vec()
    );

    let dir = saved(&model);
    let file = fs::read(dir.path().join("adapter_model.safetensors")).unwrap();
    for name in [
        "base_model.model.lm_head.weight",
        "base_model.model.model.visual.merger.ln_q.weight",
    ] {
        assert!(
            file.windows(name.len()).any(|part| part == name.as_bytes()),
            "{name}"
        );
    }
    let again = loaded(&dir).unwrap();
    for (a, b) in again.parameters().iter().zip(model.parameters()) {
        assert_eq!(
            (a.name(), a.trainable(), a.to_vec()),
            (b.name(), b.trainable(), b.to_vec())
        );
    }
    let mut merged = again;
    merged.merge_lora().unwrap();
    assert_close("merged", &hidden(&merged), &hidden(&model), 1e-5);
    assert_eq!(
        merged.parameter("lm_head.weight").unwrap().to_vec(),
        model.parameter("lm_head.weight").unwrap().to_vec()
    );

    // PEFT saves an embedding that training changed also where nobody lists it.
    edit(dir.path(), |config| {
        config["modules_to_save"] = json!(["lm_head", "merger"])
    });
    assert_eq!(hidden(&loaded(&dir).unwrap()), hidden(&model));
    edit(dir.path(), |config| {
        config["modules_to_save"] = json!(["lm_head", "merger", "norm"])
    });
    assert!(loaded(&dir).unwrap_err().contains("missing"));
}

#[test]
fn a_copy_of_a_tied_head_is_refused() {
    for name in ["lm_head", "embed_tokens"] {
        let config = LoraConfig {
            modules_to_save: vec![name.into()],
            ..LoraConfig::default()
        };
        let error = load("qwen2_tied")
            .add_lora(&config, 0)
            .unwrap_err()
            .to_string();
        assert!(error.contains("tie_word_embeddings"), "{error}");
    }
    let config = LoraConfig {
        modules_to_save: vec!["score".into()],
        ..LoraConfig::default()
    };
    let error: Error = load("qwen2").add_lora(&config, 0).unwrap_err();
    assert!(error.to_string().contains("score"), "{error}");
}

/// D4, D11: files that would be silently wrong, or run code.
#[test]
fn adapters_that_need_more_than_addition_are_refused() {
    let dir = saved(&trained(&LoraConfig::default()));
    for (field, value) in [
        ("init_lora_weights", json!("pissa")),
        ("init_lora_weights", json!("olora")),
        ("use_dora", json!(true)),
        ("alora_invocation_tokens", json!([1])),
    ] {
        edit(dir.path(), |config| config[field] = value.clone());
        let error = loaded(&dir).unwrap_err();
        assert!(error.contains(field) && error.contains("help"), "{error}");
        edit(dir.path(), |config| config[field] = Value::Null);
    }
    loaded(&dir).unwrap();
    let weights = dir.path().join("adapter_model.safetensors");
    fs::rename(&weights, dir.path().join("adapter_model.bin")).unwrap();
    let error = loaded(&dir).unwrap_err();
    assert!(
        error.contains("adapter_model.bin") && error.contains("save_file"),
        "{error}"
    );
    fs::remove_file(dir.path().join("adapter_model.bin")).unwrap();
    assert!(
        loaded(&dir)
            .unwrap_err()
            .contains("adapter_model.safetensors")
    );
}
