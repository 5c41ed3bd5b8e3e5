//! The choice of attention: training, prefill and decoding see the same tokens, a checkpoint keeps
//! the choice, a wrong one is refused by name.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use burn::tensor::Tensor;
use common::*;
use percept_kernels::sparse::{AttentionConfig, InfLlm2, Moba, Nsa, Phsa, Punctuation, Sliding};
use percept_model::{
    Attention, Decoder, Error, GradientCheckpointing, LoraConfig, Model, ModelConfig, PackedBatch,
    ParamGrads, Processor, SaveDtype, TinyConfig,
};
use percept_nn::{Layout, Span};
use serde_json::{Value, json};
use tempfile::TempDir;

const VOCAB: usize = 53;

fn model(attention: AttentionConfig) -> Model {
    let config = json!({
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
        "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
        "max_position_embeddings": 4096, "initializer_range": 0.2, "tie_word_embeddings": true,
    });
    let config = ModelConfig::from_json(config, "test").unwrap();
    let mut model = Model::init(config, 3, &device()).unwrap();
    let marks = (0..VOCAB as u32).filter(|id| id % 7 == 3).collect();
    let attention = Attention::new(attention, marks).unwrap();
    model.set_attention(attention).unwrap();
    let gates = |name: &str| name.ends_with("g_proj.weight");
    for param in model
        .parameters_mut()
        .iter_mut()
        .filter(|p| gates(p.name()))
    {
        // As far from their fresh zeros as training may bring them.
        param.update(|values| {
            for (i, value) in values.iter_mut().enumerate() {
                *value = (i * 37 % 11) as f32 * 0.1 - 0.5;
            }
        });
    }
    model
}

/// Choices that leave most of 300 tokens out.
fn choices() -> [AttentionConfig; 5] {
    [
        AttentionConfig::Sliding(Sliding {
            init: 16,
            window: 32,
        }),
        AttentionConfig::Phsa(Phsa {
            init: 16,
            local: 32,
            ..Phsa::default()
        }),
        AttentionConfig::InfLlm2(InfLlm2 {
            kernel: 16,
            stride: 8,
            block_size: 32,
            window: 32,
            top_k: 1,
            ..InfLlm2::default()
        }),
        AttentionConfig::Moba(Moba {
            block_size: 32,
            top_k: 2,
        }),
        AttentionConfig::Nsa(Nsa {
            block_size: 16,
            top_k: 4,
            window: 40,
            ..Nsa::default()
        }),
    ]
}

fn tokens(len: usize) -> Vec<u32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (state >> 16) % VOCAB as u32
    };
    (0..len).map(|_| next()).collect()
}

fn positions(len: usize) -> Vec<[u32; 3]> {
    (0..len as u32).map(|p| [p; 3]).collect()
}

fn batch(tokens: &[u32]) -> PackedBatch {
    PackedBatch {
        tokens: tokens.to_vec(),
        positions: positions(tokens.len()),
        layout: Arc::new(Layout::packed(&[tokens.len()])),
        ..PackedBatch::default()
    }
}

/// `[tokens, vocab]`.
fn trained_logits(model: &Model, batch: &PackedBatch) -> Vec<f32> {
    let hidden = model.forward_no_grad(batch).unwrap();
    values(hidden.matmul(model.lm_head().inner().transpose()))
}

fn prompt_logits(decoder: &Decoder, tokens: &[u32]) -> Vec<f32> {
    decoder.prompt_logits(decoder.embed(tokens), tokens, &positions(tokens.len()))
}

#[test]
fn training_prefill_and_decoding_see_the_same_tokens() {
    let tokens = tokens(300);
    let full = prompt_logits(
        &Decoder::new(&model(AttentionConfig::Full)).unwrap(),
        &tokens,
    );
    for choice in choices() {
        let name = choice.name();
        let model = model(choice);
        let decoder = Decoder::new(&model).unwrap();
        let all = prompt_logits(&decoder, &tokens);
        assert_close(name, &trained_logits(&model, &batch(&tokens)), &all, 1e-4);
        let change = all.iter().zip(&full).map(|(a, b)| (a - b).abs());
        assert!(change.fold(0.0, f32::max) > 0.1, "{name} left nothing out");

        let (prompt, rest) = tokens.split_at(130);
        let rows = decoder.embed(prompt);
        let prefix = decoder.prefill(rows, prompt, &positions(130), 130);
        let mut sequences = [decoder.start(&prefix, 0)];
        let mut logits = Vec::new();
        for (step, &token) in rest.iter().enumerate() {
            decoder.step(&mut sequences, &[token], &mut logits);
            assert_eq!(logits, all[(130 + step) * VOCAB..][..VOCAB], "{name}");
        }
    }
}

#[test]
fn a_prompt_computed_in_parts_has_the_bits_of_single_steps() {
    let tokens = tokens(2100);
    let [_, phsa, .., nsa] = choices();
    for choice in [AttentionConfig::Full, phsa, nsa] {
        let decoder = Decoder::new(&model(choice)).unwrap();
        let all = prompt_logits(&decoder, &tokens);
        let (prompt, rest) = tokens.split_at(2040);
        let rows = decoder.embed(prompt);
        let prefix = decoder.prefill(rows, prompt, &positions(2040), 2040);
        let mut sequences = [decoder.start(&prefix, 0)];
        let mut logits = Vec::new();
        for (step, &token) in rest.iter().enumerate() {
            decoder.step(&mut sequences, &[token], &mut logits);
            assert_eq!(logits, all[(2040 + step) * VOCAB..][..VOCAB]);
        }
    }
}

#[test]
fn a_prompt_that_goes_on_from_a_known_start_has_the_bits_of_the_whole() {
    let tokens = tokens(300);
    let mut other = tokens.clone();
    other[150..].reverse();
    let positions = positions(300);
    for choice in choices() {
        let name = choice.name();
        let decoder = Decoder::new(&model(choice)).unwrap();
        let prefill = |text: &[u32]| decoder.prefill(decoder.embed(text), text, &positions, 300);
        let (whole, before) = (prefill(&tokens), prefill(&other));
        for start in [5, 64, 90, 150] {
            let rest = &tokens[start..];
            let rows = (decoder.embed(rest), rest, &positions[start..]);
            let found = decoder.prefill_after(before.past().cut(start), rows, 300);
            assert_eq!(found.logits(), whole.logits(), "{name} after {start}");
        }
    }
}

#[test]
fn log_probabilities_of_a_text_are_those_of_its_logits() {
    let tokens = tokens(2100);
    let decoder = Decoder::new(&model(choices()[1].clone())).unwrap();
    let all = prompt_logits(&decoder, &tokens);
    let rows = decoder.embed(&tokens);
    let found = decoder.prompt_log_probs(rows, &tokens, &positions(2100));
    let expected: Vec<f32> = all
        .chunks(VOCAB)
        .zip(&tokens[1..])
        .map(|(row, &next)| {
            let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
            (f64::from(row[next as usize]) - sum.ln()) as f32
        })
        .collect();
    assert_close("log-probabilities", &found, &expected, 1e-5);
}

#[test]
fn as_many_blocks_as_there_are_give_the_bits_of_full_attention() {
    let tokens = tokens(300);
    let full = prompt_logits(
        &Decoder::new(&model(AttentionConfig::Full)).unwrap(),
        &tokens,
    );
    let all = choices()[1].clone().with_top_k(100);
    assert_eq!(
        prompt_logits(&Decoder::new(&model(all)).unwrap(), &tokens),
        full
    );
}

#[test]
fn a_shared_prompt_is_cut_into_blocks_as_if_each_answer_stood_alone() {
    let tokens = tokens(260);
    let (prompt, answers) = tokens.split_at(150);
    for choice in choices() {
        let name = choice.name();
        let model = model(choice);
        let mut together = batch(prompt);
        let mut spans = vec![Span {
            start: 0,
            len: 150,
            prefix_start: 0,
            prefix_len: 0,
        }];
        let mut expected = Vec::new();
        for answer in answers.chunks(55) {
            spans.push(Span {
                start: together.tokens.len(),
                len: 55,
                prefix_start: 0,
                prefix_len: 150,
            });
            together.tokens.extend(answer);
            together.positions.extend((150..205).map(|p| [p; 3]));
            let alone = trained_logits(&model, &batch(&[prompt, answer].concat()));
            expected.extend_from_slice(&alone[150 * VOCAB..]);
        }
        together.layout = Arc::new(Layout::new(spans, 260).unwrap());
        let found = trained_logits(&model, &together);
        assert_close(name, &found[150 * VOCAB..], &expected, 1e-5);
    }
}

/// Gradients of a loss on the hidden states of `rows` whose terms depend on the row's token.
fn gradients(
    model: &Model,
    batch: &PackedBatch,
    rows: &[u32],
    mode: GradientCheckpointing,
) -> ParamGrads {
    let loss = |hidden: Tensor<2>| {
        let hidden = percept_nn::gather_rows(hidden, rows);
        let [n, width] = hidden.dims();
        let weight = |i: usize| {
            let token = batch.tokens[rows[i / width] as usize] as usize;
            ((token * 31 + i % width * 17) % 13) as f32 - 6.0
        };
        let weights: Vec<f32> = (0..n * width).map(weight).collect();
        Ok((percept_nn::dot(hidden.reshape([n * width]), &weights), ()))
    };
    let found = model.forward_backward::<_, Error>(batch, mode, loss);
    found.unwrap().1
}

#[test]
fn sharing_a_prompt_changes_no_gradient_of_sparse_attention() {
    use GradientCheckpointing::{Full, Off, Selective};
    let tokens = tokens(260);
    let (prompt, answers) = tokens.split_at(150);
    for choice in choices() {
        let name = choice.name();
        let model = model(choice);
        let mut together = batch(prompt);
        let mut spans = vec![Span::alone(0, 150)];
        let mut apart = ParamGrads::new(model.parameters().len());
        let rows: Vec<u32> = (150..205).collect();
        for answer in answers.chunks(55) {
            spans.push(Span {
                start: together.tokens.len(),
                len: 55,
                prefix_start: 0,
                prefix_len: 150,
            });
            together.tokens.extend(answer);
            together.positions.extend((150..205).map(|p| [p; 3]));
            let alone = batch(&[prompt, answer].concat());
            apart.add(gradients(&model, &alone, &rows, Off));
        }
        together.layout = Arc::new(Layout::new(spans, 260).unwrap());
        let rows: Vec<u32> = (150..260).collect();
        for mode in [Off, Selective, Full] {
            let found = gradients(&model, &together, &rows, mode);
            for (i, param) in model.parameters().iter().enumerate() {
                let [a, b] = [&found, &apart].map(|grads| grads.get(i).unwrap().clone());
                let what = format!("{name}, {mode:?}: {}", param.name());
                assert_close(&what, &a.into_vec(), &b.into_vec(), 1e-5);
            }
        }
    }
}

#[test]
fn a_checkpoint_keeps_its_choice_and_full_attention_leaves_no_trace() {
    let [_, phsa, _, moba, nsa] = choices();
    for choice in [phsa, moba, nsa, AttentionConfig::Full] {
        let dir = TempDir::new().unwrap();
        let saved = model(choice.clone());
        saved.save(dir.path(), SaveDtype::F32).unwrap();
        let again = Model::load(dir.path(), &device()).unwrap();
        assert_eq!(again.config().attention.config(), &choice);
        let text = std::fs::read_to_string(dir.path().join("config.json")).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json.get("percept").is_some(), !choice.is_full());
        let ids = again.config().attention.punctuation_token_ids();
        let expected: &[u32] = match choice.punctuation() {
            Some(_) => &[3, 10, 17, 24, 31, 38, 45, 52],
            None => &[],
        };
        assert_eq!(ids, expected);
    }
}

#[test]
fn an_adapter_keeps_the_choice_it_was_trained_with_through_merging() {
    let tokens = tokens(300);
    let lora = LoraConfig::default();
    for (before, choice) in [
        (AttentionConfig::Full, choices()[1].clone()),
        (choices()[3].clone(), choices()[1].clone()),
        (choices()[1].clone(), AttentionConfig::Full),
    ] {
        let mut trained = model(choice.clone());
        trained.add_lora(&lora, 5).unwrap();
        for param in trained.parameters_mut() {
            if param.name().contains("lora_B") {
                param.update(|values| values.fill(0.01));
            }
        }
        let (adapter, merged) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        trained
            .save_adapter(adapter.path(), SaveDtype::F32)
            .unwrap();
        let expected = trained_logits(&trained, &batch(&tokens));

        let mut again = model(before.clone());
        again.load_lora(adapter.path()).unwrap();
        let attention = trained.config().attention.config();
        assert_eq!(again.config().attention.config(), attention);
        let found = trained_logits(&again, &batch(&tokens));
        assert_eq!(found, expected, "{} as {}", choice.name(), before.name());

        again.merge_lora().unwrap();
        again.save(merged.path(), SaveDtype::F32).unwrap();
        let again = Model::load(merged.path(), &device()).unwrap();
        assert_eq!(again.config().attention.config(), attention);
        let found = trained_logits(&again, &batch(&tokens));
        assert_close(choice.name(), &found, &expected, 1e-5);
    }
}

#[test]
fn an_adapter_that_does_not_say_leaves_the_choice_and_a_wrong_one_is_named() {
    let phsa = choices()[1].clone();
    let (dir, mut trained) = (TempDir::new().unwrap(), model(AttentionConfig::Full));
    trained.add_lora(&LoraConfig::default(), 5).unwrap();
    trained.save_adapter(dir.path(), SaveDtype::F32).unwrap();
    let file = dir.path().join("percept_config.json");
    std::fs::write(
        &file,
        r#"{"attention": {"name": "phsa", "block_size": 24}}"#,
    )
    .unwrap();
    let mut base = model(phsa.clone());
    let message = base.load_lora(dir.path()).unwrap_err().to_string();
    for part in ["percept_config.json", "attention", "block_size is 24", "16"] {
        assert!(message.contains(part), "{part:?} not in {message}");
    }
    // An adapter of PEFT, or of a version that did not write it.
    std::fs::remove_file(&file).unwrap();
    base.load_lora(dir.path()).unwrap();
    assert_eq!(base.config().attention.config(), &phsa);
}

#[test]
fn a_wrong_choice_names_file_field_and_option() {
    let refused = |attention: Value| {
        let mut json = model(AttentionConfig::Full)
            .config()
            .to_json(SaveDtype::F32);
        json["percept"] = json!({ "attention": attention });
        ModelConfig::from_json(json, "config.json")
            .unwrap_err()
            .to_string()
    };
    let message = refused(json!({"name": "phsa", "block_size": 24}));
    for part in ["config.json", "percept.attention", "block_size is 24", "16"] {
        assert!(message.contains(part), "{part:?} not in {message}");
    }
    assert!(refused(json!("phsaa")).contains("infllm2"));
}

#[test]
fn punctuation_is_found_by_its_decoded_text() {
    let processor = Processor::tiny(&TinyConfig::default()).unwrap();
    let phsa = AttentionConfig::Phsa(Phsa::default());
    let attention = processor.attention(phsa).unwrap();
    let ids = attention.punctuation_token_ids();
    assert!(!ids.is_empty());
    for id in 0..processor.vocab_size() as u32 {
        let covered = Punctuation::En.covers(&processor.decode(&[id]));
        assert_eq!(ids.contains(&id), covered, "{:?}", processor.token_text(id));
    }
    let full = processor.attention(AttentionConfig::Full).unwrap();
    assert!(full.punctuation_token_ids().is_empty());
}
