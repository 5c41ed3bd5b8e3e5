//! percept computes what `transformers` computes: hidden states, logits, vision embeddings and
//! gradients of every family and kind of prompt.

#![allow(clippy::unwrap_used)]

mod common;

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};
use common::*;
use percept_model::{Error, Model};

fn check_case(case: &str, model: &Model, expected_case: &str, prompts: &[&str]) {
    let inputs = File::open(expected_case, "inputs.safetensors");
    let expected = File::open(expected_case, "expected.safetensors");
    for name in prompts {
        let prompt = prompt(&inputs, &format!("{name}."));
        let hidden = model.forward(&pack(&[&prompt])).unwrap();
        let what = format!("{case} {name}");
        let want = |part: &str| expected.f32(&format!("{name}.{part}"));
        assert_close(
            &format!("{what} hidden"),
            &values(hidden.clone()),
            &want("hidden"),
            1e-4,
        );
        let found = logits(model, hidden, &expected.u32(&format!("{name}.logit_rows")));
        assert_close(&format!("{what} logits"), &found, &want("logits"), 1e-4);
        if prompt.vision.is_empty() {
            continue;
        }
        // `mixed` is a video, then an image.
        let kinds = ["video_embeds", "image_embeds"].map(|part| format!("{name}.{part}"));
        let want: Vec<f32> = kinds
            .iter()
            .filter_map(|k| expected.get(k))
            .flat_map(|(_, v)| v)
            .map(|v| v as f32)
            .collect();
        let found = values(model.vision_embeddings(&prompt.vision).unwrap());
        assert_close(&format!("{what} vision embeddings"), &found, &want, 1e-4);
    }
}

#[test]
fn text_models_equal_transformers() {
    for case in TEXT_CASES {
        check_case(case, &load(case), case, &["text"]);
    }
}

#[test]
fn vision_models_equal_transformers() {
    for case in VISION_CASES {
        check_case(case, &load(case), case, &VISION_PROMPTS);
    }
}

#[test]
fn shards_with_names_of_memory_are_the_same_model() {
    let model = load("qwen2_5_vl_sharded");
    check_case("qwen2_5_vl_sharded", &model, "qwen2_5_vl", &VISION_PROMPTS);
    let plain = load("qwen2_5_vl");
    for (a, b) in model.parameters().iter().zip(plain.parameters()) {
        assert_eq!((a.name(), a.to_vec()), (b.name(), b.to_vec()));
    }
}

#[test]
fn prompts_packed_together_equal_each_alone() -> Result<(), Error> {
    for case in VISION_CASES {
        let model = load(case);
        let inputs = File::open(case, "inputs.safetensors");
        let prompts = VISION_PROMPTS.map(|name| prompt(&inputs, &format!("{name}.")));
        let together = values(model.forward(&pack(&prompts.each_ref()))?);
        let alone: Vec<f32> = prompts
            .iter()
            .map(|p| model.forward(&pack(&[p])).map(values))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        assert_close(case, &together, &alone, 1e-5);
    }
    Ok(())
}

#[test]
fn an_image_shared_by_two_prompts_is_the_same_as_two_copies() -> Result<(), Error> {
    let model = load("qwen2_5_vl");
    let inputs = File::open("qwen2_5_vl", "inputs.safetensors");
    let (a, b) = (prompt(&inputs, "images3."), prompt(&inputs, "images3."));
    let copies = values(model.forward(&pack(&[&a, &b]))?);
    let shared = values(model.forward(&pack(&[&a, &a]))?);
    assert_close("shared image", &shared, &copies, 1e-6);
    Ok(())
}

#[test]
fn embed_prompt_is_the_input_of_the_first_layer() -> Result<(), Error> {
    let model = load("qwen2_5_vl");
    let inputs = File::open("qwen2_5_vl", "inputs.safetensors");
    let prompt = prompt(&inputs, "images3.");
    let rows = model.embed_prompt(&prompt)?;
    let hidden = model.config().text.hidden_size;
    let images = values(model.vision_embeddings(&prompt.vision)?);
    let table = model
        .parameter("model.embed_tokens.weight")
        .unwrap()
        .to_vec();
    let mut next = 0;
    for (i, (row, &token)) in rows.chunks(hidden).zip(&prompt.tokens).enumerate() {
        let want = if prompt.vision_index.contains(&(i as u32)) {
            next += hidden;
            &images[next - hidden..next]
        } else {
            &table[token as usize * hidden..][..hidden]
        };
        assert_close("row", row, want, 1e-6);
    }
    Ok(())
}

#[test]
fn gradients_of_all_parameters_equal_torch() {
    let case = "qwen2_5_vl_gradients";
    let model = load("qwen2_5_vl");
    let inputs = File::open(case, "inputs.safetensors");
    let expected = File::open(case, "expected.safetensors");
    let batch = pack(&[&prompt(&inputs, "")]);
    let (rows, targets) = (inputs.u32("rows"), inputs.u32("targets"));
    for checkpointing in [false, true] {
        let (log_prob, grads) = model
            .forward_backward::<_, Error>(&batch, checkpointing, |hidden| {
                let hidden = percept_nn::embedding(hidden, &rows);
                let logits = percept_nn::linear(hidden, model.lm_head(), None);
                let index = TensorData::new(
                    targets.iter().map(|&t| t as i32).collect::<Vec<_>>(),
                    [targets.len(), 1],
                );
                let index = Tensor::<2, Int>::from_data(index, &device());
                let log_prob = log_softmax(logits, 1).gather(1, index);
                Ok((-log_prob.clone().mean(), values(log_prob)))
            })
            .unwrap();
        assert_close("log_prob", &log_prob, &expected.f32("log_prob"), 1e-4);
        assert_eq!(model.parameters().len(), 69);
        for (i, param) in model.parameters().iter().enumerate() {
            let grad = grads
                .get(i)
                .unwrap_or_else(|| panic!("{} has no gradient", param.name()));
            let want = expected.f32(&format!("grad.{}", param.name()));
            let what = format!("checkpointing {checkpointing}, {}", param.name());
            assert_close(&what, &grad.clone().into_vec(), &want, 1e-3);
        }
    }
}
