//! NSA's gates: they come with the choice, learn, are saved and read, and go with it.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::*;
use percept_kernels::sparse::{AttentionConfig, Nsa};
use percept_model::{
    Attention, Decoder, LoraConfig, Model, ModelConfig, PackedBatch, ParamGrads, SaveDtype,
    TargetModules,
};
use percept_nn::{AdamW, Layout, Moments, Span, linear_log_prob};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

const VOCAB: usize = 53;

fn nsa() -> Attention {
    let options = Nsa {
        block_size: 16,
        top_k: 4,
        window: 40,
        ..Nsa::default()
    };
    Attention::new(AttentionConfig::Nsa(options), Vec::new()).unwrap()
}

/// A model of two layers with full attention.
fn dense() -> Model {
    let config = json!({
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
        "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
        "max_position_embeddings": 4096, "initializer_range": 0.2, "tie_word_embeddings": true,
    });
    Model::init(
        ModelConfig::from_json(config, "test").unwrap(),
        3,
        &device(),
    )
    .unwrap()
}

fn switched() -> Model {
    let mut model = dense();
    model.set_attention(nsa()).unwrap();
    model
}

/// [`switched`], with gates that are not zero.
fn trained() -> Model {
    let mut model = switched();
    for gate in gates_mut(&mut model) {
        gate.update(|values| {
            for (i, value) in values.iter_mut().enumerate() {
                *value = (i * 37 % 11) as f32 * 0.1 - 0.5;
            }
        });
    }
    model
}

fn is_gate(name: &str) -> bool {
    name.ends_with(".self_attn.g_proj.weight")
}

fn gates_mut(model: &mut Model) -> impl Iterator<Item = &mut percept_model::Param> {
    let params = model.parameters_mut().iter_mut();
    params.filter(|param| is_gate(param.name()))
}

/// Names, shapes and values of the gates.
fn gates(model: &Model) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let params = model.parameters().iter().filter(|p| is_gate(p.name()));
    params
        .map(|p| (p.name().to_owned(), p.shape().to_vec(), p.to_vec()))
        .collect()
}

fn tokens(len: usize) -> Vec<u32> {
    (0..len as u32)
        .map(|i| (i * i + 7 * i) % VOCAB as u32)
        .collect()
}

/// A prompt of 60 tokens and two answers that share it.
fn batch() -> PackedBatch {
    let tokens = tokens(130);
    let span = |start, len, prefix_len| Span {
        start,
        len,
        prefix_start: 0,
        prefix_len,
    };
    let spans = vec![span(0, 60, 0), span(60, 35, 60), span(95, 35, 60)];
    let position = |i: u32| if i < 95 { i } else { i - 35 };
    PackedBatch {
        positions: (0..130).map(|i| [position(i); 3]).collect(),
        layout: Arc::new(Layout::new(spans, tokens.len()).unwrap()),
        tokens,
        ..PackedBatch::default()
    }
}

/// Mean negative log-probability of each token after the one before it on the axis, and gradients.
fn loss(model: &Model, checkpointing: bool) -> (f32, ParamGrads) {
    let batch = batch();
    let targets: Vec<u32> = batch
        .tokens
        .iter()
        .cycle()
        .skip(1)
        .take(130)
        .copied()
        .collect();
    let pass = model.forward_backward(&batch, checkpointing, |hidden| {
        let stats = linear_log_prob(hidden, model.lm_head(), &targets, 1.0);
        let loss = -stats.log_prob.mean();
        let value = values(loss.clone())[0];
        Ok::<_, percept_model::Error>((loss, value))
    });
    pass.unwrap()
}

#[test]
fn a_dense_model_that_is_switched_has_gates_at_one_half_and_goes_back_without_a_trace() {
    let mut model = switched();
    let found = gates(&model);
    assert_eq!(found.len(), 2);
    for (layer, (name, shape, values)) in found.iter().enumerate() {
        assert_eq!(
            name,
            &format!("model.layers.{layer}.self_attn.g_proj.weight")
        );
        assert_eq!(
            (shape.as_slice(), values),
            ([12, 32].as_slice(), &vec![0.0; 12 * 32])
        );
    }
    // Again, with other options: the gates stay.
    gates_mut(&mut model).for_each(|gate| gate.update(|values| values.fill(0.25)));
    model.set_attention(nsa().with_top_k(9).unwrap()).unwrap();
    assert!(
        gates(&model)
            .iter()
            .all(|gate| gate.2 == vec![0.25; 12 * 32])
    );
    model.set_attention(Attention::default()).unwrap();
    let names = |model: &Model| -> Vec<String> {
        model
            .parameters()
            .iter()
            .map(|p| p.name().to_owned())
            .collect()
    };
    assert_eq!(names(&model), names(&dense()));
    let hidden = |model: &Model| values(model.forward_no_grad(&batch()).unwrap());
    assert_eq!(hidden(&model), hidden(&dense()));
}

#[test]
fn a_checkpoint_keeps_the_gates_and_the_choice() {
    let dir = TempDir::new().unwrap();
    let model = trained();
    model.save(dir.path(), SaveDtype::F32).unwrap();
    let again = Model::load(dir.path(), &device()).unwrap();
    assert_eq!(again.config().attention, nsa());
    assert_eq!(gates(&again), gates(&model));
    let hidden = |model: &Model| values(model.forward_no_grad(&batch()).unwrap());
    assert_eq!(hidden(&again), hidden(&model));
}

#[test]
fn a_dense_checkpoint_may_say_nsa_but_gates_are_all_there_or_none() {
    let choose = |dir: &TempDir, own: Value| {
        let path = dir.path().join("config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut json: Value = serde_json::from_str(&text).unwrap();
        json["percept"] = own;
        std::fs::write(&path, json.to_string()).unwrap();
    };
    let dir = TempDir::new().unwrap();
    dense().save(dir.path(), SaveDtype::F32).unwrap();
    choose(&dir, json!({ "attention": nsa().config() }));
    let model = Model::load(dir.path(), &device()).unwrap();
    assert_eq!(gates(&model), gates(&switched()));

    let refused = |dir: &TempDir| Model::load(dir.path(), &device()).unwrap_err().to_string();
    let dir = TempDir::new().unwrap();
    trained().save(dir.path(), SaveDtype::F32).unwrap();
    let path = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let lost = "model.layers.1.self_attn.g_proj.weight";
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let others = file.iter().filter(|(name, _)| *name != lost);
    safetensors::serialize_to_file(others, None, &path).unwrap();
    let error = refused(&dir);
    assert!(error.contains(lost) && error.contains("missing"), "{error}");

    // Full attention has no place for them.
    let dir = TempDir::new().unwrap();
    trained().save(dir.path(), SaveDtype::F32).unwrap();
    choose(&dir, Value::Null);
    let error = refused(&dir);
    assert!(
        error.contains("g_proj") && error.contains("unexpected"),
        "{error}"
    );
}

#[test]
fn gates_get_the_same_gradient_with_and_without_recomputation_and_a_step_moves_them() {
    let model = trained();
    let (value, grads) = loss(&model, false);
    let (again, recomputed) = loss(&model, true);
    assert_eq!(value, again);
    for (param, (a, b)) in model
        .parameters()
        .iter()
        .zip(grads.iter().zip(recomputed.iter()))
    {
        let (a, b) = (a.unwrap().clone().into_vec(), b.unwrap().clone().into_vec());
        assert_close(param.name(), &a, &b, 1e-5);
    }

    // From one half: the loss of the batch falls, and no gate stays where it was.
    let mut model = switched();
    let (before, _) = loss(&model, false);
    let adamw = AdamW {
        lr: 1e-2,
        ..AdamW::default()
    };
    let sizes: Vec<usize> = model.parameters().iter().map(|p| p.numel()).collect();
    let mut moments: Vec<Moments> = sizes
        .iter()
        .map(|&n| Moments::zeros(n, &device()))
        .collect();
    for step in 1..=5 {
        let (_, mut grads) = loss(&model, false);
        for (i, param) in model.parameters_mut().iter_mut().enumerate() {
            // The gates alone.
            if let Some(grad) = grads.take(i).filter(|_| is_gate(param.name())) {
                let (grad, moments) = (grad.into_flat(), &mut moments[i]);
                param.replace(|values| adamw.step(values, grad, moments, step));
            }
        }
    }
    let (after, _) = loss(&model, false);
    assert!(after < before - 1e-3, "{after} after, {before} before");
    for (name, _, values) in gates(&model) {
        assert!(values.iter().all(|&x| x != 0.0), "{name}");
    }
}

#[test]
fn adapters_may_learn_gates_and_keep_them_where_they_are() {
    let lora = |target: &str| LoraConfig {
        r: 2,
        target_modules: TargetModules::One(target.into()),
        ..LoraConfig::default()
    };
    let mut model = switched();
    model.add_lora(&lora("all-linear"), 1).unwrap();
    let adapted = |model: &Model| {
        let params = model.parameters().iter();
        params.filter(|p| p.name().contains("g_proj.lora_")).count()
    };
    assert_eq!(adapted(&model), 4);
    for param in model.parameters_mut() {
        if param.name().contains("lora_B") {
            param.update(|values| values.fill(0.05));
        }
    }
    // The sampler multiplies with what training sees, and a file brings the adapters back.
    let batch = PackedBatch {
        tokens: tokens(90),
        positions: (0..90).map(|p| [p; 3]).collect(),
        layout: Arc::new(Layout::packed(&[90])),
        ..PackedBatch::default()
    };
    let hidden = model.forward_no_grad(&batch).unwrap();
    let expected = logits(&model, hidden, &(0..90).collect::<Vec<u32>>());
    let decoder = Decoder::new(&model).unwrap();
    let rows = decoder.embed(&batch.tokens);
    let found = decoder.prompt_logits(rows, &batch.tokens, &batch.positions);
    assert_close("decoder", &found, &expected, 1e-4);
    let dir = TempDir::new().unwrap();
    model.save_adapter(dir.path(), SaveDtype::F32).unwrap();
    let mut again = switched();
    again.load_lora(dir.path()).unwrap();
    let hidden = again.forward_no_grad(&batch).unwrap();
    assert_eq!(
        logits(&again, hidden, &(0..90).collect::<Vec<u32>>()),
        expected
    );

    // An adapter brings its attention along; one that does not say it, says what it misses.
    let mut again = dense();
    again.load_lora(dir.path()).unwrap();
    assert_eq!(again.config().attention, nsa());
    let hidden = again.forward_no_grad(&batch).unwrap();
    assert_eq!(
        logits(&again, hidden, &(0..90).collect::<Vec<u32>>()),
        expected
    );
    std::fs::remove_file(dir.path().join("percept_config.json")).unwrap();
    let error = dense().load_lora(dir.path()).unwrap_err().to_string();
    assert!(error.contains("nsa"), "{error}");
    // Gates do not change below adapters.
    assert!(model.set_attention(Attention::default()).is_err());
    model.merge_lora().unwrap();
    model.set_attention(Attention::default()).unwrap();
    // Where nothing is said of gates, adapters stand where they stood.
    let mut model = switched();
    let only = LoraConfig {
        target_modules: TargetModules::Many(vec!["q_proj".into()]),
        ..lora("all-linear")
    };
    model.add_lora(&only, 1).unwrap();
    assert_eq!(adapted(&model), 0);
}
