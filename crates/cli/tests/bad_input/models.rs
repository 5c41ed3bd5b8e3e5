//! Weights and config.json.

use super::*;

/// Keeps the tensors that `keep` chooses by place and name.
fn keep(file: &Path, keep: impl Fn(usize, &str) -> bool) {
    edit_safetensors(file, |header, data| {
        let all = std::mem::take(header);
        let (mut kept, mut bytes) = (serde_json::Map::new(), Vec::new());
        for (index, (tensor, entry)) in all.as_object().unwrap().iter().enumerate() {
            if tensor == "__metadata__" || !keep(index, tensor) {
                continue;
            }
            let at = |i: usize| entry["data_offsets"][i].as_u64().unwrap() as usize;
            let start = bytes.len();
            bytes.extend(&data[at(0)..at(1)]);
            let mut entry = entry.clone();
            entry["data_offsets"] = json!([start, bytes.len()]);
            kept.insert(tensor.clone(), entry);
        }
        (*header, *data) = (Value::Object(kept), bytes);
    });
}

/// Splits the model's weights in two shards with an index.
fn shard(model: &Path) {
    let whole = model.join("model.safetensors");
    let mut map = serde_json::Map::new();
    for part in 0..2 {
        let name = format!("model-0000{}-of-00002.safetensors", part + 1);
        let path = model.join(&name);
        fs::copy(&whole, &path).unwrap();
        keep(&path, |index, _| index % 2 == part);
        edit_safetensors(&path, |header, _| {
            map.extend(
                header
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(|k| (k.clone(), json!(name))),
            );
        });
    }
    remove(whole);
    let index = json!({"metadata": {}, "weight_map": map});
    fs::write(
        model.join("model.safetensors.index.json"),
        index.to_string(),
    )
    .unwrap();
}

#[test]
fn weights() {
    let mut cases = Cases::default();
    let file = |model: &Path| model.join("model.safetensors");
    let head = "lm_head.weight";
    cases.accepted("an undamaged model", &damaged(|_| {}));
    cases.accepted("shards", &damaged(shard));
    cases.refused(
        "no such folder",
        &generate(Path::new("no-such-model"), &["hi"]),
        &["no-such-model"],
    );
    cases.refused(
        "a file as model",
        &generate(&file(&base_model()), &["hi"]),
        &["model.safetensors"],
    );
    cases.refused(
        "no weights",
        &damaged(|m| remove(file(m))),
        &["no model.safetensors", "help"],
    );
    cases.refused(
        "empty weights",
        &damaged(|m| truncate(&file(m), 0.0)),
        &["model.safetensors", "empty"],
    );
    for keep in [0.0001, 0.01, 0.5, 0.999] {
        let outcome = damaged(|m| truncate(&file(m), keep));
        cases.refused(
            &format!("{keep} of the weights"),
            &outcome,
            &["model.safetensors", "truncated"],
        );
    }
    let huge = damaged(|m| fs::write(file(m), [0xff; 64]).unwrap());
    cases.refused("a huge header", &huge, &["model.safetensors"]);
    let dtype = damaged(|m| edit_safetensors(&file(m), |h, _| h[head]["dtype"] = json!("I32")));
    cases.refused("another dtype", &dtype, &[head, "I32", "expected F32"]);
    let shape = damaged(|m| edit_safetensors(&file(m), |h, _| h[head]["shape"] = json!([32, 96])));
    cases.refused("another shape", &shape, &[head, "[32, 96]", "[96, 32]"]);
    let missing = damaged(|m| keep(&file(m), |_, name| name != head));
    cases.refused("a missing tensor", &missing, &[head, "missing"]);
    let more = damaged(|m| {
        edit_safetensors(&file(m), |h, d| {
            let start = d.len();
            d.extend([0; 4]);
            h["model.more"] =
                json!({"dtype": "F32", "shape": [1], "data_offsets": [start, start + 4]});
        });
    });
    cases.refused("one tensor too many", &more, &["model.more", "unexpected"]);
    for (name, value) in [("NaN", f32::NAN), ("inf", f32::INFINITY)] {
        let outcome = damaged(|m| poison(&file(m), head, value));
        cases.refused(name, &outcome, &[head, name, "element 2"]);
    }
    let shard_2 = "model-00002-of-00002.safetensors";
    let gone = damaged(|m| {
        shard(m);
        remove(m.join(shard_2));
    });
    cases.refused("a missing shard", &gone, &[shard_2, "missing"]);
    let swapped = damaged(|m| {
        shard(m);
        fs::copy(m.join("model-00001-of-00002.safetensors"), m.join(shard_2)).unwrap();
    });
    cases.refused("a shard twice", &swapped, &[shard_2]);
    for (name, index) in [
        ("index no JSON", "{\"weight_map\": {"),
        ("index a list", "[]"),
        (
            "index of numbers",
            "{\"weight_map\": {\"lm_head.weight\": 3}}",
        ),
        (
            "index elsewhere",
            "{\"weight_map\": {\"lm_head.weight\": \"../x.safetensors\"}}",
        ),
        ("index empty", ""),
    ] {
        let outcome = damaged(|m| {
            shard(m);
            fs::write(m.join("model.safetensors.index.json"), index).unwrap();
        });
        cases.refused(name, &outcome, &["index.json"]);
    }
    cases.finish();
}

#[test]
fn model_config() {
    let mut cases = Cases::default();
    let config = |m: &Path| m.join("config.json");
    cases.refused("missing", &damaged(|m| remove(config(m))), &["config.json"]);
    cases.refused(
        "truncated",
        &damaged(|m| truncate(&config(m), 0.5)),
        &["config.json", "line"],
    );
    cases.refused(
        "empty",
        &damaged(|m| truncate(&config(m), 0.0)),
        &["config.json"],
    );
    cases.refused(
        "a list",
        &damaged(|m| fs::write(config(m), "[]").unwrap()),
        &["config.json"],
    );
    let set = |field: &'static str, value: Value| {
        damaged(move |m| edit_json(&config(m), |c| c[field] = value))
    };
    let unknown = damaged(|m| {
        edit_json(&config(m), |c| {
            c["architectures"] = json!(["MambaForCausalLM"]);
            c["model_type"] = json!("mamba");
        });
    });
    cases.refused(
        "unknown architecture",
        &unknown,
        &["config.json", "amba", "supported are"],
    );
    for (field, value) in [
        ("hidden_size", json!("32")),
        ("hidden_size", json!(-32)),
        ("hidden_size", json!(0)),
        ("hidden_size", json!(33)),
        ("hidden_size", json!(1_000_000_000_000_u64)),
        ("num_attention_heads", json!(0)),
        ("num_attention_heads", json!(3)),
        ("num_key_value_heads", json!(0)),
        ("num_hidden_layers", json!(1.5)),
        ("vocab_size", json!(null)),
        ("vocab_size", json!(95)),
        ("hidden_act", json!("tanh")),
        ("rms_norm_eps", json!("small")),
        ("rope_scaling", json!({"type": "spiral"})),
        (
            "rope_scaling",
            json!({"type": "mrope", "mrope_section": [400, 400, 400]}),
        ),
        ("rope_theta", json!(-1)),
        ("vision_config", json!(7)),
        ("vision_config", json!({})),
        ("image_token_id", json!("five")),
        ("image_token_id", json!(-5)),
    ] {
        let name = format!("{field} = {value}");
        // A size that fits no weight is a matter of the tensor.
        let word = if field == "vocab_size" {
            "tensor"
        } else {
            "config"
        };
        let word = if value == json!(null) {
            "vocab_size"
        } else {
            word
        };
        let outcome = set(field, value);
        cases.refused(&name, &outcome, &[word]);
    }
    cases.finish();
}
