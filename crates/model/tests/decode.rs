//! The decoder on the host computes what `transformers` computes, and what it computes for a sequence depends on
//! that sequence alone.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::*;
use percept_kernels::decode::WeightDtype;
use percept_model::{Decoder, LoraConfig, Model, ModelConfig, Prefix, Prompt, Sequence};
use percept_nn::Precision;
use proptest::prelude::*;
use serde_json::json;

fn argmax(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.unwrap().0 as u32
}

fn greedy(decoder: &Decoder, prefix: &Arc<Prefix>, tokens: usize) -> Vec<u32> {
    let mut sequence = [decoder.start(prefix, tokens)];
    let mut logits = Vec::new();
    let mut out = vec![argmax(prefix.logits())];
    while out.len() < tokens {
        decoder.step(&mut sequence, &out[out.len() - 1..], &mut logits);
        out.push(argmax(&logits));
    }
    out
}

/// Token rows with the golden vision embeddings in their places.
fn golden_rows(decoder: &Decoder, prompt: &Prompt, expected: &File, name: &str) -> Vec<f32> {
    let mut rows = decoder.embed(&prompt.tokens);
    let width = decoder.hidden_size();
    // `mixed` is a video, then an image.
    let vision: Vec<f32> = ["video_embeds", "image_embeds"]
        .iter()
        .filter_map(|part| expected.get(&format!("{name}.{part}")))
        .flat_map(|(_, values)| values)
        .map(|value| value as f32)
        .collect();
    for (&row, values) in prompt.vision_index.iter().zip(vision.chunks(width)) {
        rows[row as usize * width..][..width].copy_from_slice(values);
    }
    rows
}

fn check_case(case: &str, prompts: &[&str]) {
    let model = load(case);
    let decoder = Decoder::new(&model).unwrap();
    let inputs = File::open(case, "inputs.safetensors");
    let expected = File::open(case, "expected.safetensors");
    for name in prompts {
        let prompt = prompt(&inputs, &format!("{name}."));
        for rows in [
            golden_rows(&decoder, &prompt, &expected, name),
            model.embed_prompt(&prompt).unwrap(),
        ] {
            let all = decoder.prompt_logits(rows.clone(), &prompt.tokens, &prompt.positions);
            let asked = expected.u32(&format!("{name}.logit_rows"));
            let vocab = decoder.vocab_size();
            let found: Vec<f32> = asked
                .iter()
                .flat_map(|&row| &all[row as usize * vocab..][..vocab])
                .copied()
                .collect();
            let want = expected.f32(&format!("{name}.logits"));
            assert_close(&format!("{case} {name}"), &found, &want, 1e-4);
            let prefix = decoder.prefill(
                rows,
                &prompt.tokens,
                &prompt.positions,
                prompt.next_position,
            );
            assert_eq!(prefix.logits(), &all[all.len() - vocab..]);
            let want = expected.u32(&format!("{name}.greedy"));
            assert_eq!(greedy(&decoder, &prefix, want.len()), want, "{case} {name}");
        }
    }
}

#[test]
fn text_models_equal_transformers_and_continue_alike() {
    TEXT_CASES
        .iter()
        .for_each(|case| check_case(case, &["text"]));
}

#[test]
fn vision_models_equal_transformers_and_continue_alike() {
    VISION_CASES
        .iter()
        .for_each(|case| check_case(case, &VISION_PROMPTS));
}

/// A random Qwen3-like model; `hidden` 320 with a large vocabulary is above the size at which threads share products.
fn random_model(hidden: usize, vocab: usize, tied: bool) -> Model {
    let config = json!({
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3",
        "vocab_size": vocab, "hidden_size": hidden, "intermediate_size": 2 * hidden + 16,
        "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 24,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "hidden_act": "silu", "initializer_range": 0.1, "attention_bias": false,
        "tie_word_embeddings": tied, "bos_token_id": 0, "eos_token_id": 1,
    });
    Model::init(
        ModelConfig::from_json(config, "test").unwrap(),
        7,
        &device(),
    )
    .unwrap()
}

fn text_positions(tokens: usize) -> Vec<[u32; 3]> {
    (0..tokens as u32).map(|p| [p; 3]).collect()
}

fn prefill(decoder: &Decoder, tokens: &[u32]) -> Arc<Prefix> {
    decoder.prefill(
        decoder.embed(tokens),
        tokens,
        &text_positions(tokens.len()),
        tokens.len() as u32,
    )
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Deterministic tokens below `vocab`.
fn tokens(n: usize, seed: usize, vocab: usize) -> Vec<u32> {
    (0..n)
        .map(|i| ((i * 7919 + seed * 104_729 + i * i * 31) % vocab) as u32)
        .collect()
}

/// Decodes `responses` after their prefixes, `batch` at once, and returns every step's logits by sequence.
fn decode(
    decoder: &Decoder,
    prefixes: &[&Arc<Prefix>],
    responses: &[Vec<u32>],
    batch: usize,
) -> Vec<Vec<u32>> {
    let mut all = vec![Vec::new(); responses.len()];
    for first in (0..responses.len()).step_by(batch) {
        let range = first..(first + batch).min(responses.len());
        let mut sequences: Vec<Sequence> = range
            .clone()
            .map(|i| decoder.start(prefixes[i], 4))
            .collect();
        let mut logits = Vec::new();
        let steps = responses[0].len();
        let tokens_of =
            |step: usize| -> Vec<u32> { range.clone().map(|i| responses[i][step]).collect() };
        for next in (0..steps).map(tokens_of) {
            decoder.step(&mut sequences, &next, &mut logits);
            for (i, row) in range.clone().zip(logits.chunks(decoder.vocab_size())) {
                all[i].extend(bits(row));
            }
        }
    }
    all
}

#[test]
fn a_sequence_has_the_same_bits_alone_and_among_others_on_any_number_of_threads() {
    // The second model is large enough for the threads to share its products.
    for (hidden, vocab) in [(48, 101), (320, 25_003)] {
        let decoder = Decoder::new(&random_model(hidden, vocab, false)).unwrap();
        let prompts = [
            tokens(5, 1, vocab),
            tokens(33, 2, vocab),
            tokens(16, 3, vocab),
        ];
        let prefixes: Vec<Arc<Prefix>> = prompts.iter().map(|p| prefill(&decoder, p)).collect();
        let of: Vec<&Arc<Prefix>> = (0..17).map(|i| &prefixes[i % 3]).collect();
        let responses: Vec<Vec<u32>> = (0..17).map(|i| tokens(6, 10 + i, vocab)).collect();
        let alone = decode(&decoder, &of, &responses, 1);
        for batch in [3, 17] {
            assert_eq!(
                decode(&decoder, &of, &responses, batch),
                alone,
                "batch {batch}"
            );
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let found = pool.install(|| decode(&decoder, &of, &responses, 17));
            assert_eq!(found, alone, "{threads} threads");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn steps_after_a_prompt_give_the_bits_of_one_longer_prompt(
        prompt in 1usize..40, more in 1usize..40, tied: bool,
    ) {
        let decoder = Decoder::new(&random_model(48, 101, tied)).unwrap();
        let text = tokens(prompt + more, prompt, 101);
        let prefix = prefill(&decoder, &text[..prompt]);
        let mut sequence = [decoder.start(&prefix, more)];
        let mut stepped = bits(prefix.logits());
        let mut logits = Vec::new();
        for token in &text[prompt..] {
            decoder.step(&mut sequence, &[*token], &mut logits);
            stepped.extend(bits(&logits));
        }
        // Positions beyond the table of 64 are computed on the way.
        let whole = decoder.prompt_logits(decoder.embed(&text), &text, &text_positions(text.len()));
        prop_assert_eq!(stepped, bits(&whole[(prompt - 1) * 101..]));
        prop_assert_eq!(sequence[0].tokens(), prompt + more);
    }
}

#[test]
fn sequences_of_a_prompt_share_it_and_leave_it_as_it_is() {
    let decoder = Decoder::new(&random_model(48, 101, false)).unwrap();
    let prompt = tokens(37, 5, 101);
    let prefix = prefill(&decoder, &prompt);
    let first = decode(&decoder, &[&prefix], &[tokens(20, 6, 101)], 1);
    decode(
        &decoder,
        &[&prefix, &prefix],
        &[tokens(20, 8, 101), tokens(20, 9, 101)],
        2,
    );
    assert_eq!(
        decode(&decoder, &[&prefix], &[tokens(20, 6, 101)], 1),
        first
    );

    let mut sequences = [decoder.start(&prefix, 1), decoder.start(&prefix, 1)];
    assert_eq!(sequences[0].bytes(), 0);
    let mut logits = Vec::new();
    decoder.step(&mut sequences, &[3, 4], &mut logits);
    // One block of sixteen tokens: the copy of the prompt's unfinished one.
    assert_eq!(sequences[0].bytes(), 16 * decoder.token_bytes());
    assert!(sequences[0].bytes() < prefix.bytes());

    // A clone continues independently.
    let mut fork = [sequences[0].clone()];
    let [before, _] = &mut sequences;
    decoder.step(std::slice::from_mut(before), &[5], &mut logits);
    let expected = bits(&logits);
    decoder.step(&mut fork, &[6], &mut logits);
    assert_ne!(bits(&logits), expected);
    let mut again = [decoder.start(&prefix, 1)];
    decoder.step(&mut again, &[3], &mut logits);
    decoder.step(&mut again, &[6], &mut logits);
    let fresh = bits(&logits);
    let mut third = [decoder.start(&prefix, 1)];
    decoder.step(&mut third, &[3], &mut logits);
    let mut fork = [third[0].clone()];
    decoder.step(&mut fork, &[6], &mut logits);
    assert_eq!(bits(&logits), fresh);
}

#[test]
fn the_sampler_and_the_trainer_agree_also_with_adapters() {
    let mut model = load("qwen2_5_vl");
    let config = LoraConfig {
        r: 4,
        lora_alpha: 8.0,
        ..LoraConfig::default()
    };
    model.add_lora(&config, 3).unwrap();
    for param in model.parameters_mut() {
        if param.name().contains("lora_") {
            let mut sign = 0.05;
            param.update(|values| {
                for value in values {
                    sign = -sign * 0.99;
                    *value += sign;
                }
            });
        }
    }
    let inputs = File::open("qwen2_5_vl", "inputs.safetensors");
    let prompt = prompt(&inputs, "mixed.");
    let rows: Vec<u32> = (0..prompt.tokens.len() as u32).collect();
    let trained = logits(&model, model.forward(&pack(&[&prompt])).unwrap(), &rows);
    let decoder = Decoder::new(&model).unwrap();
    let sampled = decoder.prompt_logits(
        model.embed_prompt(&prompt).unwrap(),
        &prompt.tokens,
        &prompt.positions,
    );
    assert_close("trainer and sampler", &sampled, &trained, 1e-5);
    let plain = Decoder::new(&load("qwen2_5_vl")).unwrap();
    let without = plain.prompt_logits(
        model.embed_prompt(&prompt).unwrap(),
        &prompt.tokens,
        &prompt.positions,
    );
    assert!(
        distance(&without, &trained) > 1e-3,
        "the adapters change something"
    );
}

/// Real weights, when the folder that tools/smollm2.py makes is named by `PERCEPT_SMOLLM2`: all prompts are decoded
/// in one batch.
#[test]
fn real_weights_continue_as_transformers_does() {
    let Some(dir) = std::env::var_os("PERCEPT_SMOLLM2") else {
        eprintln!("skipped: PERCEPT_SMOLLM2 is not set");
        return;
    };
    let golden = std::fs::read(golden("smollm2_greedy.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_slice(&golden).unwrap();
    let ids =
        |value: &serde_json::Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    let model = Model::load(std::path::Path::new(&dir), &device()).unwrap();
    let decoder = Decoder::new(&model).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    let answers: Vec<Vec<u32>> = cases.iter().map(|case| ids(&case["output_ids"])).collect();
    let prefixes: Vec<Arc<Prefix>> = cases
        .iter()
        .map(|case| prefill(&decoder, &ids(&case["input_ids"])))
        .collect();
    let mut sequences: Vec<Sequence> = prefixes.iter().map(|p| decoder.start(p, 64)).collect();
    let mut found: Vec<Vec<u32>> = prefixes.iter().map(|p| vec![argmax(p.logits())]).collect();
    let mut logits = Vec::new();
    for step in 1..answers[0].len() {
        let last: Vec<u32> = found.iter().map(|tokens| tokens[step - 1]).collect();
        decoder.step(&mut sequences, &last, &mut logits);
        for (tokens, row) in found.iter_mut().zip(logits.chunks(decoder.vocab_size())) {
            tokens.push(argmax(row));
        }
    }
    assert_eq!(found, answers);
}

#[test]
fn a_bfloat16_decoder_says_nearly_the_same_and_rows_do_not_depend_on_the_batch() {
    let Ok(bf16) = Precision::bf16() else {
        println!("skipped: this machine does not multiply bfloat16");
        return;
    };
    for (hidden, vocab) in [(48, 101), (320, 25_003)] {
        let mut model = random_model(hidden, vocab, true);
        let exact = Decoder::new(&model).unwrap();
        model.set_decoder_dtype(bf16);
        let decoder = Decoder::new(&model).unwrap();
        assert!(decoder.bytes() < exact.bytes() * 3 / 4);
        let prompt = tokens(33, 2, vocab);
        let [found, expected] = [&decoder, &exact].map(|d| prefill(d, &prompt));
        assert!(distance(found.logits(), expected.logits()) < 0.03);
        let of: Vec<&Arc<Prefix>> = vec![&found; 17];
        let responses: Vec<Vec<u32>> = (0..17).map(|i| tokens(6, 10 + i, vocab)).collect();
        let alone = decode(&decoder, &of, &responses, 1);
        assert_eq!(decode(&decoder, &of, &responses, 17), alone);
    }
}

/// tools/int8_goldens.py: transformers on the rounded weights.
#[test]
fn weights_of_eight_bits_are_the_rounded_weights() {
    for case in ["qwen2_tied", "qwen3", "qwen2_5_vl"] {
        let mut model = load(case);
        model.set_decoder_dtype(WeightDtype::Int8);
        let decoder = Decoder::new(&model).unwrap();
        let prompt = prompt(&File::open(case, "inputs.safetensors"), "text.");
        let rows = decoder.embed(&prompt.tokens);
        let found = decoder.prompt_logits(rows, &prompt.tokens, &prompt.positions);
        let expected = File::open(case, "int8.safetensors").f32("logits");
        let found = &found[found.len() - expected.len()..];
        assert_close(case, found, &expected, 1e-4);
    }
}

#[test]
fn a_decoder_of_eight_bits_says_nearly_the_same_and_rows_do_not_depend_on_the_batch() {
    for (hidden, vocab) in [(48, 101), (320, 25_003)] {
        for tied in [true, false] {
            let mut model = random_model(hidden, vocab, tied);
            let exact = Decoder::new(&model).unwrap();
            model.set_decoder_dtype(WeightDtype::Int8);
            let decoder = Decoder::new(&model).unwrap();
            let share = decoder.bytes() as f64 / exact.bytes() as f64;
            // The embedding table of an untied head stays f32: it is looked up, not read. Small weights are filled
            // up to 64 outputs and have as many scales.
            let most = if hidden < 64 { 0.35 } else { 0.32 };
            assert!(share < if tied { most } else { 0.7 }, "{share}");
            let prompt = tokens(33, 2, vocab);
            let [found, expected] = [&decoder, &exact].map(|d| prefill(d, &prompt));
            let gap = distance(found.logits(), expected.logits());
            assert!(gap > 0.0 && gap < 0.05, "{gap}");
            let of: Vec<&Arc<Prefix>> = vec![&found; 17];
            let responses: Vec<Vec<u32>> = (0..17).map(|i| tokens(6, 10 + i, vocab)).collect();
            let alone = decode(&decoder, &of, &responses, 1);
            assert_eq!(decode(&decoder, &of, &responses, 17), alone);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The start may come from another prompt, and end anywhere.
    #[test]
    fn a_prompt_that_goes_on_from_a_known_start_has_the_bits_of_the_whole(
        start in 1usize..60, rest in 1usize..40, other in 0usize..40, int8: bool,
    ) {
        let mut model = random_model(48, 101, true);
        if int8 {
            model.set_decoder_dtype(WeightDtype::Int8);
        }
        let decoder = Decoder::new(&model).unwrap();
        let text = tokens(start + rest, start, 101);
        let whole = prefill(&decoder, &text);
        let mut longer = text[..start].to_vec();
        longer.extend(tokens(other, 77, 101));
        let before = prefill(&decoder, &longer);
        let positions = text_positions(text.len());
        let rows = (decoder.embed(&text[start..]), &text[start..], &positions[start..]);
        let past = before.past().cut(start);
        let found = decoder.prefill_after(past, rows, text.len() as u32);
        prop_assert_eq!(bits(found.logits()), bits(whole.logits()));
        // Nor does the one that was cut change.
        prop_assert_eq!(bits(prefill(&decoder, &longer).logits()), bits(before.logits()));
        let reply = vec![tokens(5, 3, 101)];
        prop_assert_eq!(
            decode(&decoder, &[&found], &reply, 1),
            decode(&decoder, &[&whole], &reply, 1)
        );
    }
}
