//! Adapters: an untrained one changes nothing, merging keeps the function, files are PEFT's.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use percept_model::{Error, LoraConfig, Model, PackedBatch, SaveDtype, TargetModules};
use tempfile::TempDir;

fn batch() -> PackedBatch {
    let inputs = File::open("qwen2_5_vl", "inputs.safetensors");
    pack(&[&prompt(&inputs, "image."), &prompt(&inputs, "text.")])
}

fn hidden(model: &Model) -> Vec<f32> {
    values(model.forward(&batch()).unwrap())
}

fn names(names: &[&str]) -> TargetModules {
    TargetModules::Many(names.iter().map(|name| name.to_string()).collect())
}

/// Adapters on every linear layer, with B no longer zero.
fn trained(config: &LoraConfig) -> Model {
    let mut model = load("qwen2_5_vl");
    model.add_lora(config, 3).unwrap();
    for param in model
        .parameters_mut()
        .iter_mut()
        .filter(|p| p.name().contains("lora_B"))
    {
        param.update(|values| {
            for (i, value) in values.iter_mut().enumerate() {
                *value = ((i * 37 % 11) as f32 - 5.0) * 0.01;
            }
        });
    }
    model
}

#[test]
fn an_untrained_adapter_changes_nothing() {
    let mut model = load("qwen2_5_vl");
    let before = hidden(&model);
    model.add_lora(&LoraConfig::default(), 1).unwrap();
    assert_close("untrained", &hidden(&model), &before, 1e-6);
}

#[test]
fn a_is_kaiming_uniform_and_b_zero() {
    let mut model = load("qwen2_5_vl");
    model.add_lora(&LoraConfig::default(), 1).unwrap();
    for param in model
        .parameters()
        .iter()
        .filter(|p| p.name().contains("lora_"))
    {
        let values = param.to_vec();
        if param.name().ends_with("lora_B.weight") {
            assert!(values.iter().all(|v| *v == 0.0));
            continue;
        }
        let bound = (param.shape()[1] as f32).powf(-0.5);
        let largest = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(
            largest <= bound && largest > 0.8 * bound,
            "{}: {largest}",
            param.name()
        );
    }
}

#[test]
fn only_adapters_are_trained_and_all_of_them_receive_gradients() {
    let model = trained(&LoraConfig::default());
    let plain = load("qwen2_5_vl").parameters().len();
    for checkpointing in [false, true] {
        let loss = |hidden: burn::tensor::Tensor<2>| Ok((hidden.square().sum(), ()));
        let (_, grads) = model
            .forward_backward::<_, Error>(&batch(), checkpointing, loss)
            .unwrap();
        for (i, param) in model.parameters().iter().enumerate() {
            assert_eq!(param.trainable(), i >= plain, "{}", param.name());
            assert_eq!(grads.get(i).is_some(), i >= plain, "{}", param.name());
        }
    }
}

#[test]
fn merging_keeps_the_function() {
    for use_rslora in [false, true] {
        let mut model = trained(&LoraConfig {
            r: 4,
            use_rslora,
            ..LoraConfig::default()
        });
        let before = hidden(&model);
        let dir = TempDir::new().unwrap();
        model.save(dir.path(), SaveDtype::F32).unwrap();
        let saved = Model::load(dir.path(), &device()).unwrap();
        assert_close("saved", &hidden(&saved), &before, 1e-5);
        model.merge_lora().unwrap();
        assert!(model.lora().is_none());
        assert_close("merged", &hidden(&model), &before, 1e-5);
        let distance = distance(&before, &hidden(&load("qwen2_5_vl")));
        assert!(distance > 1e-2, "the adapters did something: {distance}");
    }
}

#[test]
fn without_its_adapters_the_model_is_its_base() {
    let model = trained(&LoraConfig::default());
    let base = model.without_lora();
    assert_close("base", &hidden(&base), &hidden(&load("qwen2_5_vl")), 1e-5);
    assert!(base.lora().is_none());
    assert!(base.parameters().iter().all(|param| !param.trainable()));
    assert!(load("qwen2").merge_lora().is_err());
}

#[test]
fn adapters_survive_a_round_trip() {
    for target_modules in [
        LoraConfig::default().target_modules,
        names(&["q_proj", "attn.qkv", "layers.1.mlp.up_proj"]),
    ] {
        let config = LoraConfig {
            r: 3,
            lora_alpha: 7.0,
            target_modules,
            ..LoraConfig::default()
        };
        let (model, dir) = (trained(&config), TempDir::new().unwrap());
        model.save_adapter(dir.path(), SaveDtype::F32).unwrap();
        let message = Model::load(dir.path(), &device()).unwrap_err().to_string();
        assert!(message.contains("base model"), "{message}");
        let mut again = load("qwen2_5_vl");
        again.load_lora(dir.path()).unwrap();
        assert_eq!(hidden(&again), hidden(&model));
        for (a, b) in again.parameters().iter().zip(model.parameters()) {
            assert_eq!(
                (a.name(), a.trainable(), a.to_vec()),
                (b.name(), b.trainable(), b.to_vec())
            );
        }
    }
}

#[test]
fn adapters_of_another_model_are_refused_and_leave_the_model_as_it_was() {
    let dir = TempDir::new().unwrap();
    trained(&LoraConfig::default())
        .save_adapter(dir.path(), SaveDtype::F32)
        .unwrap();
    let mut other = load("qwen2_vl");
    assert!(other.load_lora(dir.path()).is_err());
    assert!(other.lora().is_none() && other.parameters().iter().all(|p| p.trainable()));
}

#[test]
fn a_name_selects_the_layers_whose_path_ends_with_it() {
    for (targets, count) in [
        (vec!["q_proj"], 2),
        (vec!["q_proj", "self_attn.q_proj"], 2),
        (vec!["layers.0.mlp.up_proj"], 1),
        (vec!["up_proj"], 5),
        (vec!["mlp.0", "mlp.2"], 2),
    ] {
        let mut model = load("qwen2_5_vl");
        let before = model.parameters().len();
        let config = LoraConfig {
            target_modules: names(&targets),
            ..LoraConfig::default()
        };
        model.add_lora(&config, 1).unwrap();
        assert_eq!(model.parameters().len() - before, 2 * count, "{targets:?}");
    }
}

#[test]
fn impossible_adapters_are_refused() {
    let default = LoraConfig::default();
    for (config, word) in [
        (
            LoraConfig {
                r: 0,
                ..default.clone()
            },
            "r:",
        ),
        (
            LoraConfig {
                lora_alpha: f64::NAN,
                ..default.clone()
            },
            "lora_alpha",
        ),
        (
            LoraConfig {
                lora_dropout: 1.0,
                ..default.clone()
            },
            "lora_dropout",
        ),
        (
            LoraConfig {
                target_modules: names(&["q_prj"]),
                ..default.clone()
            },
            "q_prj",
        ),
        (
            LoraConfig {
                target_modules: names(&["proj_q", "q_proj"]),
                ..default.clone()
            },
            "proj_q",
        ),
        (
            LoraConfig {
                target_modules: names(&[]),
                ..default.clone()
            },
            "target_modules",
        ),
        (
            LoraConfig {
                target_modules: names(&["lm_head"]),
                ..default.clone()
            },
            "lm_head",
        ),
    ] {
        let message = load("qwen2_5_vl")
            .add_lora(&config, 1)
            .unwrap_err()
            .to_string();
        assert!(message.contains(word), "{message}");
    }
    let mut model = load("qwen2");
    model.add_lora(&default, 1).unwrap();
    assert!(model.add_lora(&default, 1).is_err());
}

#[test]
fn dropout_depends_on_the_seed_alone_and_keeps_the_mean() {
    let config = LoraConfig {
        lora_dropout: 0.5,
        ..LoraConfig::default()
    };
    let mut model = trained(&config);
    let plain = hidden(&model);
    let mut at = |seed| {
        model.set_dropout_seed(seed);
        hidden(&model)
    };
    assert_eq!(at(Some(1)), at(Some(1)));
    assert_ne!(at(Some(1)), at(Some(2)));
    assert_ne!(at(Some(1)), plain);
    assert_eq!(at(None), plain);
}

#[test]
fn recomputation_draws_the_same_dropout() {
    let mut model = trained(&LoraConfig {
        lora_dropout: 0.3,
        ..LoraConfig::default()
    });
    model.set_dropout_seed(Some(5));
    let run = |checkpointing| {
        let loss = |hidden: burn::tensor::Tensor<2>| Ok((hidden.square().sum(), ()));
        model
            .forward_backward::<_, Error>(&batch(), checkpointing, loss)
            .unwrap()
            .1
    };
    let (kept, recomputed) = (run(false), run(true));
    for (a, b) in kept.iter().zip(recomputed.iter()) {
        if let (Some(a), Some(b)) = (a, b) {
            assert_close("grad", &b.clone().into_vec(), &a.clone().into_vec(), 1e-5);
        }
    }
}

#[test]
fn recipes_give_targets_as_a_word_or_a_list() {
    let read = |text: &str| serde_json::from_str::<LoraConfig>(text);
    assert_eq!(read("{}").unwrap(), LoraConfig::default());
    let list = read(r#"{"r": 8, "target_modules": ["q_proj"]}"#).unwrap();
    assert_eq!(list.target_modules, names(&["q_proj"]));
    assert!(
        read(r#"{"rank": 8}"#)
            .unwrap_err()
            .to_string()
            .contains("rank")
    );
}
