//! LLaVA-1.5 computes what `transformers` computes (`tools/llava_goldens.py`), decodes alike, and is saved under the hub's
//! names.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};
use common::*;
use percept_kernels::sparse::AttentionConfig;
use percept_model::{
    Attention, Decoder, Error, GradientCheckpointing, LoraConfig, Model, ModelConfig, ParamGrads,
    Prompt, SaveDtype, SharedVision, TargetModules, VisionConfig, is_vision_param,
};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

const PROMPTS: [&str; 4] = ["text", "image", "images3", "twice"];

fn golden_prompt(case: &str, name: &str) -> Prompt {
    prompt(&File::open(case, "inputs.safetensors"), &format!("{name}."))
}

fn check(model: &Model, case: &str) {
    let expected = File::open(case, "expected.safetensors");
    let decoder = Decoder::new(model).unwrap();
    for name in PROMPTS {
        let prompt = golden_prompt(case, name);
        let what = format!("{case} {name}");
        let want = |part: &str| expected.f32(&format!("{name}.{part}"));
        let hidden = model.forward(&pack(&[&prompt])).unwrap();
        assert_close(
            &format!("{what} hidden"),
            &values(hidden.clone()),
            &want("hidden"),
            1e-4,
        );
        let rows = expected.u32(&format!("{name}.logit_rows"));
        let found = logits(model, hidden, &rows);
        assert_close(&format!("{what} logits"), &found, &want("logits"), 1e-4);
        if !prompt.vision.is_empty() {
            let found = values(model.vision_embeddings(&prompt.vision).unwrap());
            assert_close(
                &format!("{what} images"),
                &found,
                &want("image_embeds"),
                1e-4,
            );
        }
        // The sampler's way: every row's logits, then greedy tokens.
        let embedded = model.embed_prompt(&prompt).unwrap();
        let all = decoder.prompt_logits(embedded.clone(), &prompt.tokens, &prompt.positions);
        let vocab = decoder.vocab_size();
        let found: Vec<f32> = rows
            .iter()
            .flat_map(|&row| &all[row as usize * vocab..][..vocab])
            .copied()
            .collect();
        assert_close(&format!("{what} decoder"), &found, &want("logits"), 1e-4);
        let want = expected.u32(&format!("{name}.greedy"));
        assert_eq!(
            greedy(&decoder, &prompt, embedded, want.len()),
            want,
            "{what}"
        );
    }
}

fn greedy(decoder: &Decoder, prompt: &Prompt, rows: Vec<f32>, tokens: usize) -> Vec<u32> {
    let prefix = decoder.prefill(
        rows,
        &prompt.tokens,
        &prompt.positions,
        prompt.next_position,
    );
    let best = |logits: &[f32]| {
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.unwrap().0 as u32
    };
    let mut sequence = [decoder.start(&prefix, tokens)];
    let mut logits = Vec::new();
    let mut out = vec![best(prefix.logits())];
    while out.len() < tokens {
        decoder.step(&mut sequence, &out[out.len() - 1..], &mut logits);
        out.push(best(&logits));
    }
    out
}

#[test]
fn logits_images_and_greedy_tokens_equal_transformers() {
    for case in ["llava", "llava_full"] {
        check(&load(case), case);
    }
}

/// Shards, the hub's names and its config.json of 2023, which says little of the decoder.
#[test]
fn the_hub_s_files_are_the_same_model() {
    let (hub, new) = (load("llava_hub"), load("llava"));
    check(&hub, "llava");
    assert_eq!(hub.parameters().len(), new.parameters().len());
    for (a, b) in hub.parameters().iter().zip(new.parameters()) {
        assert_eq!((a.name(), a.to_vec()), (b.name(), b.to_vec()));
    }
    let config = |folder: &str, file: &str| {
        let json = std::fs::read(golden(folder).join(file)).unwrap();
        ModelConfig::from_json(serde_json::from_slice(&json).unwrap(), file).unwrap()
    };
    let new = config("llava", "config.json");
    for old in [
        config("llava", "config_v4.json"),
        config("llava_hub", "config.json"),
    ] {
        assert_eq!((&old.text, &old.vision), (&new.text, &new.vision));
        assert_eq!(old.vision_tokens, new.vision_tokens);
        assert_eq!(old.eos_token_id, new.eos_token_id);
        assert_eq!(old.bos_token_id, new.bos_token_id);
    }
    // llava-hf/llava-1.5-7b-hf, word for word but for what has no meaning here.
    let json = json!({
        "architectures": ["LlavaForConditionalGeneration"], "ignore_index": -100, "image_token_index": 32000,
        "model_type": "llava", "pad_token_id": 32001, "projector_hidden_act": "gelu",
        "text_config": {
            "_name_or_path": "lmsys/vicuna-7b-v1.5", "architectures": ["LlamaForCausalLM"],
            "max_position_embeddings": 4096, "model_type": "llama", "rms_norm_eps": 1e-05,
            "torch_dtype": "float16", "vocab_size": 32064,
        },
        "tie_word_embeddings": false, "torch_dtype": "float16",
        "vision_config": {
            "hidden_size": 1024, "image_size": 336, "intermediate_size": 4096, "model_type": "clip_vision_model",
            "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768,
            "vocab_size": 32000,
        },
        "vision_feature_layer": -2, "vision_feature_select_strategy": "default",
    });
    let seven = ModelConfig::from_json(json, "config.json").unwrap();
    let text = &seven.text;
    assert_eq!(
        (
            text.hidden_size,
            text.num_hidden_layers,
            text.intermediate_size
        ),
        (4096, 32, 11008)
    );
    assert_eq!((text.head_dim, text.num_key_value_heads), (128, 32));
    assert_eq!((text.rope.theta, text.rope.mrope_section), (1e4, None));
    let Some(VisionConfig::Llava(vision)) = seven.vision else {
        panic!("{:?}", seven.vision)
    };
    assert_eq!((vision.image_tokens(), vision.feature_layers), (576, 23));
    assert_eq!((seven.bos_token_id, seven.eos_token_id), (Some(1), vec![2]));
}

/// Mean negative log-likelihood of the golden targets.
fn gradients(
    model: &Model,
    checkpointing: impl Into<GradientCheckpointing>,
) -> (Vec<f32>, ParamGrads) {
    let inputs = File::open("llava_gradients", "inputs.safetensors");
    let batch = pack(&[&prompt(&inputs, "")]);
    let (rows, targets) = (inputs.u32("rows"), inputs.u32("targets"));
    let of = |hidden| {
        let hidden = percept_nn::embedding(hidden, &rows);
        let logits = percept_nn::linear(hidden, model.lm_head(), None);
        let index: Vec<i32> = targets.iter().map(|&t| t as i32).collect();
        let index = TensorData::new(index, [targets.len(), 1]);
        let index = Tensor::<2, Int>::from_data(index, &device());
        let log_prob = log_softmax(logits, 1).gather(1, index);
        Ok::<_, Error>((-log_prob.clone().mean(), values(log_prob)))
    };
    model.forward_backward(&batch, checkpointing, of).unwrap()
}

#[test]
fn gradients_of_all_parameters_equal_torch() {
    use GradientCheckpointing::{Full, Off, Selective};
    let model = load("llava");
    let expected = File::open("llava_gradients", "expected.safetensors");
    for mode in [Off, Selective, Full] {
        let (log_prob, grads) = gradients(&model, mode);
        assert_close("log_prob", &log_prob, &expected.f32("log_prob"), 1e-4);
        let mut without = 0;
        for (param, grad) in model.parameters().iter().zip(grads.iter()) {
            let name = format!("grad.{}", param.name());
            let Some((_, _)) = expected.get(&name) else {
                // The tower behind its last block that is read, as in torch.
                assert!(
                    grad.is_none() && !param.trainable() && !param.used(),
                    "{name}"
                );
                without += 1;
                continue;
            };
            let grad = grad.unwrap_or_else(|| panic!("{name}: none"));
            let (found, want) = (grad.clone().into_vec(), expected.f32(&name));
            let what = format!("{mode:?} {name}");
            if name.ends_with("k_proj.bias") {
                // It adds the same to all scores of a query: zero but for rounding.
                let queries = expected.f32(&name.replace("k_proj", "q_proj"));
                let most = |values: &[f32]| values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
                let scale = 1e-4 * most(&queries);
                assert!(most(&found) < scale && most(&want) < scale, "{what}");
                continue;
            }
            assert_close(&what, &found, &want, 1e-3);
        }
        assert_eq!((without, model.parameters().len()), (18, 80));
    }
}

/// A frozen part of the tower, its projector alone, one embedding alone: the others' gradients stay.
#[test]
fn parts_can_be_frozen() {
    let mut model = load("llava");
    let (_, all) = gradients(&model, false);
    let of_class = |name: &str| name.ends_with("class_embedding");
    let of_positions = |name: &str| name.contains("position_embedding");
    let of_projector = |name: &str| name.contains("multi_modal_projector");
    let choices: [&dyn Fn(&str) -> bool; 4] = [&of_class, &of_positions, &of_projector, &|name| {
        !is_vision_param(name)
    }];
    for choose in choices {
        model.set_trainable(choose);
        for mode in [false, true] {
            let (_, some) = gradients(&model, mode);
            for ((param, some), all) in model.parameters().iter().zip(some.iter()).zip(all.iter()) {
                match (choose(param.name()), some) {
                    (true, Some(some)) => {
                        let all = all.unwrap().clone().into_vec();
                        assert_close(param.name(), &some.clone().into_vec(), &all, 1e-5);
                    }
                    (chosen, found) => assert_eq!(chosen, found.is_some(), "{}", param.name()),
                }
            }
        }
    }
    model.set_trainable(|_| true);
    assert!(model.parameters().iter().all(|p| p.trainable() == p.used()));
    model.freeze_vision();
    let frozen = |p: &percept_model::Param| is_vision_param(p.name()) && !p.trainable();
    assert_eq!(model.parameters().iter().filter(|p| frozen(p)).count(), 59);
}

/// One picture for several passes: encoded once, the same gradients.
#[test]
fn a_picture_of_several_passes_is_encoded_once() {
    let model = load("llava");
    let (a, b) = (
        golden_prompt("llava", "twice"),
        golden_prompt("llava", "twice"),
    );
    let batches = [pack(&[&a]), pack(&[&b])];
    let update = |mut shared: SharedVision| {
        let mut sum = ParamGrads::default();
        for batch in &batches {
            let (hidden, kept) = model.forward_train(batch, true, &mut shared).unwrap();
            sum.add(model.backward(kept, hidden.powi_scalar(2).sum().reshape([1]), &mut shared));
        }
        let tokens = shared.tokens();
        sum.add(shared.finish(&model));
        (sum, tokens)
    };
    let (alone, every) = update(SharedVision::default());
    let (shared, once) = update(SharedVision::new(
        batches.iter().map(|b| b.images.as_slice()),
    ));
    assert_eq!(
        (every, once),
        (32, 16),
        "the prompt shows its picture twice"
    );
    for ((param, a), b) in model
        .parameters()
        .iter()
        .zip(alone.iter())
        .zip(shared.iter())
    {
        match (a, b) {
            (Some(a), Some(b)) => assert_close(
                param.name(),
                &b.clone().into_vec(),
                &a.clone().into_vec(),
                1e-4,
            ),
            _ => assert!(a.is_none() && b.is_none()),
        }
    }
}

fn stored(dir: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "safetensors") {
            let bytes = std::fs::read(path).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            names.extend(file.names().into_iter().map(str::to_owned));
        }
    }
    names
}

#[test]
fn saved_folders_have_the_hub_s_names_and_are_the_same_model() {
    for (case, dtype) in [
        ("llava", SaveDtype::F32),
        ("llava", SaveDtype::F16),
        ("llava_hub", SaveDtype::F16),
        ("llava_full", SaveDtype::F32),
    ] {
        let (model, dir) = (load(case), TempDir::new().unwrap());
        model.save(dir.path(), dtype).unwrap();
        let again = Model::load(dir.path(), &device()).unwrap();
        for (a, b) in model.parameters().iter().zip(again.parameters()) {
            assert_eq!((a.name(), a.shape()), (b.name(), b.shape()));
            assert_eq!(a.to_vec(), b.to_vec(), "{case} {}", a.name());
        }
        if case != "llava_full" {
            let mut hub = stored(&golden("llava_hub"));
            assert!(hub.remove("vision_tower.vision_model.embeddings.position_ids"));
            assert_eq!(stored(dir.path()), hub, "{case}");
        }
        let config = std::fs::read(dir.path().join("config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["architectures"][0], "LlavaForConditionalGeneration");
        let named = config.get("dtype").or(config.get("torch_dtype")).unwrap();
        assert_eq!(named, dtype.name());
    }
    // Half precision loses something and keeps the rest.
    let (mut model, dir) = (load("llava"), TempDir::new().unwrap());
    model.parameters_mut()[0].update(|values| values[0] = 1.000_01);
    model.save(dir.path(), SaveDtype::Bf16).unwrap();
    let again = Model::load(dir.path(), &device()).unwrap();
    assert_eq!(again.parameters()[0].to_vec()[0], 1.0);
}

/// Every trainable value moved.
fn trained(targets: TargetModules) -> Model {
    let mut model = load("llava");
    let config = LoraConfig {
        r: 4,
        target_modules: targets,
        ..LoraConfig::default()
    };
    model.add_lora(&config, 3).unwrap();
    for param in model.parameters_mut() {
        if param.name().contains("lora_B") {
            param.update(|values| {
                for (i, value) in values.iter_mut().enumerate() {
                    *value = ((i * 37 % 11) as f32 - 5.0) * 0.02;
                }
            });
        }
    }
    model
}

fn hidden(model: &Model) -> Vec<f32> {
    let prompt = golden_prompt("llava", "images3");
    values(model.forward(&pack(&[&prompt])).unwrap())
}

/// PEFT's file of a transformers of any year, whose modules had other paths, is read; ours has today's.
#[test]
fn adapters_are_peft_s() {
    let plain = hidden(&load("llava"));
    for targets in [
        TargetModules::One("all-linear".into()),
        TargetModules::Many(vec!["q_proj".into(), "linear_1".into()]),
        TargetModules::One(r"^model\.language_model.*\.(q|v)_proj$".into()),
        TargetModules::One(r"^language_model\.model.*\.(q|v)_proj$".into()),
        TargetModules::One(r".*vision_tower\.vision_model\..*fc1".into()),
    ] {
        let model = trained(targets.clone());
        let what = format!("{targets:?}");
        assert!(distance(&hidden(&model), &plain) > 1e-2, "{what}");
        let dir = TempDir::new().unwrap();
        model.save_adapter(dir.path(), SaveDtype::F32).unwrap();
        let names = stored(dir.path());
        let today = |name: &String| {
            name.starts_with("base_model.model.model.language_model.layers.")
                || name.starts_with("base_model.model.model.vision_tower.encoder.layers.")
                || name.starts_with("base_model.model.model.multi_modal_projector.linear_")
        };
        assert!(names.iter().all(today), "{what}: {names:?}");
        let mut again = load("llava");
        again.load_lora(dir.path()).unwrap();
        assert_eq!(hidden(&again), hidden(&model), "{what}");
        for old in [
            [
                ("model.model.language_model.", "model.language_model.model."),
                (
                    "model.model.vision_tower.",
                    "model.vision_tower.vision_model.",
                ),
                ("model.model.multi_modal", "model.multi_modal"),
            ],
            [
                (
                    "model.model.vision_tower.",
                    "model.model.vision_tower.vision_model.",
                ),
                ("", ""),
                ("", ""),
            ],
        ] {
            rename(dir.path(), |name| {
                let new = old
                    .iter()
                    .find(|(new, _)| !new.is_empty() && name.contains(new));
                new.map_or(name.to_owned(), |(new, old)| name.replace(new, old))
            });
            let mut again = load("llava");
            again.load_lora(dir.path()).unwrap();
            assert_eq!(hidden(&again), hidden(&model), "{what}");
            model.save_adapter(dir.path(), SaveDtype::F32).unwrap();
        }
        // Merged on saving: the base's names.
        model.save(dir.path(), SaveDtype::F32).unwrap();
        let merged = Model::load(dir.path(), &device()).unwrap();
        assert_close(&what, &hidden(&merged), &hidden(&model), 1e-4);
    }
}

/// Adapters on blocks that nothing reads have no gradient, and are kept for PEFT, which has them.
#[test]
fn adapters_of_blocks_that_are_not_read_are_saved_and_not_trained() {
    let model = trained(TargetModules::One("all-linear".into()));
    let (_, grads) = gradients(&model, false);
    let mut idle = 0;
    for (param, grad) in model.parameters().iter().zip(grads.iter()) {
        if param.name().contains(".lora_") {
            let used = !param.name().contains("vision_tower.encoder.layers.2.");
            assert_eq!(
                (param.trainable(), grad.is_some()),
                (used, used),
                "{}",
                param.name()
            );
            idle += usize::from(!used);
        }
    }
    assert_eq!(idle, 12);
}

fn rename(dir: &Path, change: impl Fn(&str) -> String) {
    let path = dir.join("adapter_model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Vec<_> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| (change(&name), view))
        .collect();
    safetensors::serialize_to_file(tensors, None, &path).unwrap();
}

/// The decoder is Llama's: what it can choose, it can choose here.
#[test]
fn sparse_attention_samples_as_it_trains() {
    let prompt = golden_prompt("llava", "images3");
    for config in [
        json!({"name": "sliding", "init": 16, "window": 16}),
        json!({"name": "moba", "block_size": 16, "top_k": 2}),
    ] {
        let mut model = load("llava");
        let config: AttentionConfig = serde_json::from_value(config).unwrap();
        model
            .set_attention(Attention::new(config.clone(), Vec::new()).unwrap())
            .unwrap();
        let rows: Vec<u32> = (0..prompt.tokens.len() as u32).collect();
        let passed = model.forward(&pack(&[&prompt])).unwrap();
        let passed = logits(&model, passed, &rows);
        let decoder = Decoder::new(&model).unwrap();
        let rows = model.embed_prompt(&prompt).unwrap();
        let found = decoder.prompt_logits(rows, &prompt.tokens, &prompt.positions);
        assert_close(&format!("{config:?}"), &found, &passed, 1e-4);
    }
}

#[test]
fn what_is_not_llava_1_5_is_refused_by_field() {
    let json: Value =
        serde_json::from_slice(&std::fs::read(golden("llava").join("config.json")).unwrap())
            .unwrap();
    for (path, value, word) in [
        ("vision_feature_layer", json!([-2, -1]), "one layer"),
        ("vision_feature_layer", json!("last"), "integer"),
        ("vision_feature_layer", json!(-5), "-4 to 3"),
        ("vision_feature_layer", json!(4), "-4 to 3"),
        ("vision_feature_select_strategy", json!("cls"), "full"),
        ("projector_hidden_act", json!("relu"), "gelu"),
        ("multimodal_projector_bias", json!("no"), "true or false"),
        ("image_seq_length", json!(576), "16"),
        ("image_token_index", json!(300), "vocab_size"),
        (
            "vision_config.model_type",
            json!("siglip_vision_model"),
            "clip_vision_model",
        ),
        ("vision_config.hidden_act", json!("gelu"), "quick_gelu"),
        ("vision_config.patch_size", json!(17), "image_size"),
        ("vision_config.patch_size", json!([4, 4]), "integer"),
        ("vision_config.image_size", json!(1u64 << 30), "at most"),
        ("vision_config.num_attention_heads", json!(5), "hidden_size"),
        ("vision_config.attention_dropout", json!(0.1), "dropout"),
        ("text_config.model_type", json!("mistral"), "llama"),
        ("text_config.hidden_act", json!("gelu"), "silu"),
        ("quantization_config", json!({"bits": 4}), "quantised"),
    ] {
        let mut changed = json.clone();
        let mut at = &mut changed;
        for key in path.split('.') {
            at = &mut at[key];
        }
        *at = value.clone();
        let error = ModelConfig::from_json(changed, "config.json").unwrap_err();
        let error = error.to_string();
        let begins = error.starts_with(&format!("config.json, {path}: "));
        assert!(begins && error.contains(word), "{path} = {value}: {error}");
    }
}

#[test]
fn pictures_of_another_size_or_number_are_refused() {
    let model = load("llava");
    let prompt = golden_prompt("llava", "image");
    let refusal = |prompt: Prompt| {
        let error = model.forward(&pack(&[&prompt])).unwrap_err();
        error.to_string()
    };
    let mut fewer = prompt.clone();
    fewer.vision_index.pop();
    let error = refusal(fewer);
    assert!(
        error.contains("15 placeholder") && error.contains("16"),
        "{error}"
    );
    let mut large = prompt.clone();
    Arc::make_mut(&mut large.vision[0]).grid_thw = [1, 4, 6];
    let error = refusal(large);
    assert!(
        error.contains("1 × 4 × 6") && error.contains("crop_size"),
        "{error}"
    );
    let mut short = prompt;
    Arc::make_mut(&mut short.vision[0]).pixels.pop();
    assert!(refusal(short).contains("767 values"));
}
