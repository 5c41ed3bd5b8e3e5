//! Checkpoints survive a round trip bit for bit, and broken ones are refused with the file, the
//! tensor, what was found and what was expected.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::*;
use percept_model::{Device, LoadOptions, Model, Param, SaveDtype};
use percept_weights::{AsTheyAre, write_weights};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Name → dtype, shape, bytes.
type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn read_tensors(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let entry = |(name, view): (String, TensorView)| {
        (
            name,
            (view.dtype(), view.shape().to_vec(), view.data().to_vec()),
        )
    };
    file.tensors().into_iter().map(entry).collect()
}

fn write_tensors(path: &Path, tensors: &Tensors) {
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views.collect::<Vec<_>>(), None, path).unwrap();
}

fn copy(case: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    for entry in std::fs::read_dir(golden(case)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

fn refusal(dir: &Path) -> String {
    Model::load(dir, &device())
        .expect_err("was accepted")
        .to_string()
}

#[test]
fn saving_and_loading_is_bit_equal() {
    for case in TEXT_CASES.iter().chain(&VISION_CASES) {
        let (model, dir) = (load(case), TempDir::new().unwrap());
        model.save(dir.path(), SaveDtype::F32).unwrap();
        let again = Model::load(dir.path(), &device()).unwrap();
        assert_eq!(model.parameters().len(), again.parameters().len());
        for (a, b) in model.parameters().iter().zip(again.parameters()) {
            assert_eq!((a.name(), a.shape()), (b.name(), b.shape()));
            let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(a.to_vec()), bits(b.to_vec()), "{case} {}", a.name());
        }
    }
}

#[test]
fn names_shapes_and_files_are_those_of_save_pretrained() {
    for case in TEXT_CASES.iter().chain(&VISION_CASES) {
        let (model, dir) = (load(case), TempDir::new().unwrap());
        let dtype = if *case == "qwen3" {
            SaveDtype::Bf16
        } else {
            SaveDtype::F32
        };
        model.save(dir.path(), dtype).unwrap();
        let file = "model.safetensors";
        let written = read_tensors(&dir.path().join(file));
        assert_eq!(written, read_tensors(&golden(case).join(file)), "{case}");
        let generation = |dir: &Path| -> Value {
            let bytes = std::fs::read(dir.join("generation_config.json")).unwrap();
            serde_json::from_slice(&bytes).unwrap()
        };
        assert_eq!(generation(dir.path()), generation(&golden(case)), "{case}");
    }
}

#[test]
fn half_precision_rounds_to_nearest_and_then_stays() {
    let model = load("qwen2_5_vl");
    for (dtype, step) in [
        (SaveDtype::Bf16, 2f32.powi(-9)),
        (SaveDtype::F16, 2f32.powi(-12)),
    ] {
        let (once, twice) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        model.save(once.path(), dtype).unwrap();
        let rounded = Model::load(once.path(), &device()).unwrap();
        for (a, b) in model.parameters().iter().zip(rounded.parameters()) {
            for (a, b) in a.to_vec().iter().zip(b.to_vec()) {
                // Two steps of slack near the smallest normal float16.
                assert!(
                    (a - b).abs() <= 2.0 * step * a.abs() + 6e-8,
                    "{a} became {b}"
                );
            }
        }
        rounded.save(twice.path(), dtype).unwrap();
        let file = "model.safetensors";
        assert_eq!(
            read_tensors(&once.path().join(file)),
            read_tensors(&twice.path().join(file))
        );
        let config = std::fs::read_to_string(once.path().join("config.json")).unwrap();
        assert!(config.contains(dtype.name()));
    }
}

#[test]
fn a_weight_beyond_float16_is_refused_by_name() {
    let mut model = load("qwen2");
    model.parameters_mut()[3].update(|values| values[5] = 1e6);
    let name = model.parameters()[3].name().to_string();
    let message = model
        .save(TempDir::new().unwrap().path(), SaveDtype::F16)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains(&name) && message.contains("1000000"),
        "{message}"
    );
}

#[test]
fn a_head_stored_beside_a_tied_table_must_equal_it() {
    let dir = copy("qwen2_tied");
    let file = dir.path().join("model.safetensors");
    let mut tensors = read_tensors(&file);
    let table = tensors["model.embed_tokens.weight"].clone();
    tensors.insert("lm_head.weight".into(), table);
    write_tensors(&file, &tensors);
    assert!(Model::load(dir.path(), &device()).is_ok());
    tensors.get_mut("lm_head.weight").unwrap().2[3] ^= 1;
    write_tensors(&file, &tensors);
    assert!(refusal(dir.path()).contains("tie_word_embeddings"));
}

#[test]
fn rotary_tables_of_old_libraries_are_ignored() {
    let dir = copy("llama");
    let file = dir.path().join("model.safetensors");
    let mut tensors = read_tensors(&file);
    let name = "model.layers.0.self_attn.rotary_emb.inv_freq";
    tensors.insert(name.into(), (Dtype::F32, vec![6], vec![0; 24]));
    write_tensors(&file, &tensors);
    assert!(Model::load(dir.path(), &device()).is_ok());
}

#[test]
fn a_nan_is_refused_by_name_unless_allowed() {
    let dir = copy("llama");
    let file = dir.path().join("model.safetensors");
    let mut tensors = read_tensors(&file);
    let name = "model.layers.1.mlp.up_proj.weight";
    tensors.get_mut(name).unwrap().2[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
    write_tensors(&file, &tensors);
    let message = refusal(dir.path());
    assert!(
        message.contains(name) && message.contains("element 2"),
        "{message}"
    );
    let options = LoadOptions {
        allow_non_finite: true,
    };
    assert!(Model::load_with(dir.path(), &device(), options).is_ok());
}

/// Changes the tensors of a copy of `qwen2` and checks that all of `words` are in the refusal.
fn broken(change: impl FnOnce(&mut Tensors), words: &[&str]) {
    let dir = copy("qwen2");
    let file = dir.path().join("model.safetensors");
    let mut tensors = read_tensors(&file);
    change(&mut tensors);
    write_tensors(&file, &tensors);
    let message = refusal(dir.path());
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

#[test]
fn wrong_tensors_are_refused_with_name_found_and_expected() {
    let up = "model.layers.0.mlp.up_proj.weight";
    broken(
        |t| t.get_mut(up).unwrap().1 = vec![48, 80],
        &[up, "[48, 80]", "[80, 48]"],
    );
    broken(
        |t| t.get_mut(up).unwrap().1 = vec![80 * 48],
        &[up, "[3840]", "[80, 48]"],
    );
    broken(
        |t| {
            let entry = t.get_mut(up).unwrap();
            entry.0 = Dtype::I32;
        },
        &[up, "I32", "F32, BF16 or F16"],
    );
    broken(|t| drop(t.remove(up)), &[up, "missing", "[80, 48]"]);
    broken(
        |t| drop(t.remove("lm_head.weight")),
        &["lm_head.weight", "tie_word_embeddings"],
    );
    broken(
        |t| drop(t.insert("model.layers.2.mlp.up_proj.weight".into(), t[up].clone())),
        &["model.layers.2.mlp.up_proj.weight", "unexpected"],
    );
    broken(
        |t| drop(t.insert(format!("model.language_{up}"), t[up].clone())),
        &[up, "stored twice"],
    );
    broken(
        |t| {
            let value = f32::INFINITY.to_le_bytes();
            t.get_mut("model.norm.weight").unwrap().2[..4].copy_from_slice(&value);
        },
        &["model.norm.weight", "inf"],
    );
}

#[test]
fn broken_files_are_refused_with_their_path() {
    let file = "model.safetensors";
    let damage = |change: &dyn Fn(&Path), words: &[&str]| {
        let dir = copy("qwen2");
        change(&dir.path().join(file));
        let message = refusal(dir.path());
        for word in words {
            assert!(message.contains(word), "{word:?} is not in: {message}");
        }
    };
    let bytes = std::fs::read(golden("qwen2").join(file)).unwrap();
    damage(
        &|p| std::fs::write(p, &bytes[..bytes.len() - 1]).unwrap(),
        &[file, "truncated"],
    );
    damage(
        &|p| std::fs::write(p, &bytes[..100]).unwrap(),
        &[file, "truncated"],
    );
    damage(
        &|p| std::fs::write(p, &bytes[..3]).unwrap(),
        &[file, "truncated"],
    );
    damage(&|p| std::fs::write(p, []).unwrap(), &[file, "empty"]);
    damage(
        &|p| std::fs::write(p, [255; 64]).unwrap(),
        &[file, "not a safetensors file"],
    );
    damage(
        &|p| std::fs::remove_file(p).unwrap(),
        &["no model.safetensors", "no weights"],
    );
    damage(
        &|p| std::fs::rename(p, p.with_file_name("pytorch_model.bin")).unwrap(),
        &["no model.safetensors", "pytorch_model.bin"],
    );
}

#[test]
fn broken_folders_are_refused() {
    let dir = copy("qwen2");
    std::fs::remove_file(dir.path().join("config.json")).unwrap();
    assert!(refusal(dir.path()).contains("config.json"));
    std::fs::write(dir.path().join("config.json"), "{\"architectures\": [").unwrap();
    assert!(refusal(dir.path()).contains("line 1"));
}

#[test]
fn broken_shards_are_refused() {
    let index = "model.safetensors.index.json";
    let second = "model-00002-of-00002.safetensors";

    let dir = copy("qwen2_5_vl_sharded");
    std::fs::remove_file(dir.path().join(second)).unwrap();
    let message = refusal(dir.path());
    assert!(
        message.contains(second) && message.contains("missing"),
        "{message}"
    );

    let dir = copy("qwen2_5_vl_sharded");
    let mut json: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join(index)).unwrap()).unwrap();
    let name = "model.visual.merger.ln_q.weight";
    json["weight_map"][name] = json!("../elsewhere.safetensors");
    std::fs::write(dir.path().join(index), json.to_string()).unwrap();
    assert!(refusal(dir.path()).contains("same folder"));
    json["weight_map"][name] = json!(second);
    json["weight_map"]["model.language_model.norm.bias"] = json!(second);
    std::fs::write(dir.path().join(index), json.to_string()).unwrap();
    assert!(refusal(dir.path()).contains("model.language_model.norm.bias"));
    std::fs::write(dir.path().join(index), "{\"weight_map\": 3}").unwrap();
    assert!(refusal(dir.path()).contains(index));
}

#[test]
fn shards_hold_at_most_the_limit_and_are_the_same_model() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/qwen2_5_vl");
    let model = Model::load(&golden, &Device::flex()).unwrap();
    let dir = TempDir::new().unwrap();
    model.config().save(dir.path(), SaveDtype::F32).unwrap();
    let params: Vec<&Param> = model.parameters().iter().collect();
    let limit = 60_000;
    write_weights(dir.path(), &params, SaveDtype::F32, limit, &AsTheyAre).unwrap();
    let shards: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "safetensors"))
        .collect();
    assert!(shards.len() > 2);
    for shard in shards {
        // The header comes on top.
        assert!(shard.metadata().unwrap().len() < limit as u64 + 10_000);
    }
    let again = Model::load(dir.path(), &Device::flex()).unwrap();
    for (a, b) in model.parameters().iter().zip(again.parameters()) {
        assert_eq!((a.name(), a.to_vec()), (b.name(), b.to_vec()));
    }
}
