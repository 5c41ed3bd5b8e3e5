//! What training relies on: sharing a prompt or an image changes no gradient, freezing stops
//! gradients, initialisation is a function of the seed, bad batches are refused.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use burn::tensor::Tensor;
use common::*;
use percept_model::{
    Error, GradientCheckpointing, LoraConfig, Model, ModelConfig, PackedBatch, ParamGrads, Prompt,
    SharedVision, TargetModules, TinyConfig, VisionTokens,
};
use percept_nn::{Layout, Span};

const RESPONSES: [&[u32]; 3] = [&[7, 8, 9, 10], &[11, 12], &[13, 14, 15, 16, 17]];

fn golden_prompt(name: &str) -> Prompt {
    prompt(
        &File::open("qwen2_5_vl", "inputs.safetensors"),
        &format!("{name}."),
    )
}

fn append(batch: &mut PackedBatch, prompt: &Prompt, response: &[u32]) {
    batch.tokens.extend(response);
    let next = prompt.next_position;
    batch
        .positions
        .extend((next..next + response.len() as u32).map(|p| [p; 3]));
}

/// One prompt, then the responses, each seeing the prompt.
fn shared(prompt: &Prompt) -> (PackedBatch, Vec<u32>) {
    let mut batch = pack(&[prompt]);
    let len = prompt.tokens.len();
    let mut spans = vec![Span {
        start: 0,
        len,
        prefix_start: 0,
        prefix_len: 0,
    }];
    let mut rows = Vec::new();
    for response in RESPONSES {
        let start = batch.tokens.len();
        rows.push(len as u32 - 1);
        rows.extend((start..start + response.len()).map(|row| row as u32));
        append(&mut batch, prompt, response);
        spans.push(Span {
            start,
            len: response.len(),
            prefix_start: 0,
            prefix_len: len,
        });
    }
    batch.layout = Arc::new(Layout::new(spans, batch.tokens.len()).unwrap());
    (batch, rows)
}

/// The prompt again before each response.
fn repeated(prompt: &Prompt) -> (PackedBatch, Vec<u32>) {
    let mut whole = PackedBatch::default();
    let (mut spans, mut rows) = (Vec::new(), Vec::new());
    for response in RESPONSES {
        let mut batch = pack(&[prompt]);
        append(&mut batch, prompt, response);
        let (start, len) = (whole.tokens.len(), batch.tokens.len());
        rows.extend((start + prompt.tokens.len() - 1..start + len).map(|row| row as u32));
        spans.push(Span {
            start,
            len,
            prefix_start: 0,
            prefix_len: 0,
        });
        whole.tokens.extend(batch.tokens);
        whole.positions.extend(batch.positions);
        whole.images.extend(batch.images);
        whole
            .vision_index
            .extend(batch.vision_index.iter().map(|row| row + start as u32));
    }
    whole.layout = Arc::new(Layout::new(spans, whole.tokens.len()).unwrap());
    (whole, rows)
}

/// Gradients of a loss that weighs every row and every element differently.
fn gradients(
    model: &Model,
    batch: &PackedBatch,
    rows: &[u32],
    recompute: impl Into<GradientCheckpointing>,
) -> ParamGrads {
    let pass = (batch.clone(), rows.to_vec());
    one_pass(model, &pass, 0, recompute, &mut SharedVision::default())
}

/// [`gradients`] of one of several passes; `before`: rows of those before it.
fn one_pass(
    model: &Model,
    (batch, rows): &(PackedBatch, Vec<u32>),
    before: usize,
    recompute: impl Into<GradientCheckpointing>,
    shared: &mut SharedVision,
) -> ParamGrads {
    let (hidden, activations) = model.forward_train(batch, recompute, shared).unwrap();
    let hidden = percept_nn::gather_rows(hidden, rows);
    let logits = percept_nn::linear(hidden, model.lm_head(), None);
    let [n, v] = logits.dims();
    let weight = (before * v..(before + n) * v)
        .map(|i| ((i * 31 % 17) as f32 - 8.0) * 0.1)
        .collect::<Vec<_>>();
    let scalar = percept_nn::dot(logits.reshape([n * v]), &weight);
    model.backward(activations, scalar, shared)
}

/// The prompt with each response in a pass of its own.
fn split(prompt: &Prompt) -> Vec<(PackedBatch, Vec<u32>)> {
    let pass = |response: &&[u32]| {
        let mut batch = pack(&[prompt]);
        let len = batch.tokens.len();
        append(&mut batch, prompt, response);
        let all = batch.tokens.len();
        batch.layout = Arc::new(Layout::packed(&[all]));
        (batch, (len as u32 - 1..all as u32).collect())
    };
    RESPONSES.iter().map(pass).collect()
}

/// Images that `passes` share.
fn sharing(passes: &[(PackedBatch, Vec<u32>)]) -> SharedVision {
    SharedVision::new(passes.iter().map(|(batch, _)| batch.images.as_slice()))
}

/// Summed gradients of passes.
fn summed(
    model: &Model,
    passes: &[(PackedBatch, Vec<u32>)],
    mode: GradientCheckpointing,
    shared: &mut SharedVision,
) -> ParamGrads {
    let (mut sum, mut before) = (ParamGrads::default(), 0);
    for pass in passes {
        sum.add(one_pass(model, pass, before, mode, shared));
        before += pass.1.len();
    }
    sum
}

fn assert_same(what: &str, model: &Model, a: &ParamGrads, b: &ParamGrads) {
    for (i, param) in model.parameters().iter().enumerate() {
        let what = format!("{what}: {}", param.name());
        let [a, b] = [a, b].map(|grads| grads.get(i).map(|grad| grad.clone().into_vec()));
        assert_eq!(a.is_some(), b.is_some(), "{what}");
        if let Some((a, b)) = a.zip(b) {
            assert_close(&what, &a, &b, 1e-5);
        }
    }
}

#[test]
fn sharing_a_prompt_changes_no_gradient() {
    let model = load("qwen2_5_vl");
    for name in ["images3", "video"] {
        let prompt = golden_prompt(name);
        let ((a, a_rows), (b, b_rows)) = (shared(&prompt), repeated(&prompt));
        assert!(a.tokens.len() < b.tokens.len());
        for recompute in [false, true] {
            let a = gradients(&model, &a, &a_rows, recompute);
            let b = gradients(&model, &b, &b_rows, false);
            assert_same(&format!("{name}, recompute {recompute}"), &model, &a, &b);
        }
    }
}

#[test]
fn what_is_computed_again_changes_no_gradient() {
    use GradientCheckpointing::{Full, Off, Selective};
    let lora = LoraConfig {
        lora_dropout: 0.3,
        ..LoraConfig::default()
    };
    let mut with_lora = load("qwen2_5_vl");
    with_lora.add_lora(&lora, 2).unwrap();
    with_lora.set_dropout_seed(Some(7));
    let mut frozen = load("qwen2_5_vl");
    frozen.freeze_vision();
    let models = [
        ("qwen3", load("qwen3"), "text"),
        ("qwen2_vl", load("qwen2_vl"), "mixed"),
        ("qwen2_5_vl", load("qwen2_5_vl"), "mixed"),
        ("qwen2_5_vl", with_lora, "images3"),
        ("qwen2_5_vl", frozen, "images3"),
    ];
    for (case, model, name) in models {
        let inputs = File::open(case, "inputs.safetensors");
        let (batch, rows) = shared(&prompt(&inputs, &format!("{name}.")));
        let kept = gradients(&model, &batch, &rows, Off);
        for mode in [Selective, Full] {
            let found = gradients(&model, &batch, &rows, mode);
            assert_same(&format!("{case}, {mode:?}"), &model, &found, &kept);
        }
    }
}

#[test]
fn an_image_encoded_once_for_two_prompts_gets_both_gradients() {
    let model = load("qwen2_5_vl");
    // Equal images of two rows, each with an array of its own.
    let (a, b) = (golden_prompt("image"), golden_prompt("image"));
    let len = a.tokens.len() as u32;
    let gradients = |batch: &PackedBatch, rows: Vec<u32>, recompute: bool| {
        let loss = |hidden: Tensor<2>| {
            let hidden = percept_nn::gather_rows(hidden, &rows);
            Ok((hidden.clone().square().sum() + hidden.sum(), ()))
        };
        let found = model.forward_backward::<_, Error>(batch, recompute, loss);
        found.unwrap().1
    };
    // Not the same rows of both, or one image's gradient would be half of the sum.
    let mut apart = gradients(&pack(&[&a]), (0..len / 2).collect(), false);
    apart.add(gradients(&pack(&[&b]), (len / 3..len).collect(), false));
    let rows: Vec<u32> = (0..len / 2).chain(len + len / 3..2 * len).collect();
    for recompute in [false, true] {
        for batch in [pack(&[&a, &a]), pack(&[&a, &b])] {
            let both = gradients(&batch, rows.clone(), recompute);
            assert_same("image", &model, &both, &apart);
        }
    }
}

#[test]
fn the_tower_runs_once_for_all_passes_and_the_gradients_stay_the_same() {
    use GradientCheckpointing::{Full, Off, Selective};
    let mut frozen = load("qwen2_5_vl");
    frozen.freeze_vision();
    let mut lora = load("qwen2_5_vl");
    lora.add_lora(&LoraConfig::default(), 2).unwrap();
    let mut text_lora = load("qwen2_5_vl");
    let text = LoraConfig {
        target_modules: TargetModules::Many(vec!["q_proj".into()]),
        ..LoraConfig::default()
    };
    text_lora.add_lora(&text, 2).unwrap();
    for param in lora
        .parameters_mut()
        .iter_mut()
        .chain(text_lora.parameters_mut())
    {
        if param.name().contains("lora_B") {
            param.update(|values| {
                let values = values.iter_mut().enumerate();
                values.for_each(|(i, value)| *value = ((i * 37 % 11) as f32 - 5.0) * 0.01);
            });
        }
    }
    for (case, model, name) in [
        ("qwen2_vl", load("qwen2_vl"), "mixed"),
        ("qwen2_5_vl", load("qwen2_5_vl"), "images3"),
        ("frozen", frozen, "images3"),
        ("lora", lora, "images3"),
        ("text lora", text_lora, "video"),
    ] {
        let folder = if case == "qwen2_vl" {
            case
        } else {
            "qwen2_5_vl"
        };
        let prompt = prompt(
            &File::open(folder, "inputs.safetensors"),
            &format!("{name}."),
        );
        let (whole, rows) = shared(&prompt);
        let passes = split(&prompt);
        let once = prompt.vision_index.len();
        for mode in [Off, Selective, Full] {
            let what = format!("{case}, {mode:?}");
            let unsplit = gradients(&model, &whole, &rows, mode);
            let mut nothing = SharedVision::default();
            let apart = summed(&model, &passes, mode, &mut nothing);
            let mut vision = sharing(&passes);
            let found = summed(&model, &passes, mode, &mut vision);
            assert_same(&format!("{what}, unsplit"), &model, &found, &unsplit);
            assert_same(&format!("{what}, in each pass"), &model, &found, &apart);
            assert_eq!(
                (vision.tokens(), nothing.tokens()),
                (once, 3 * once),
                "{what}"
            );
            let rest = vision.finish(&model);
            assert!(rest.iter().all(|grad| grad.is_none()), "{what}");
        }
    }
}

#[test]
fn passes_may_show_other_images_beside_shared_ones() {
    use GradientCheckpointing::{Full, Off};
    let model = load("qwen2_5_vl");
    let [three, one, video] = ["images3", "image", "video"].map(golden_prompt);
    let pass = |prompts: &[&Prompt]| {
        let batch = pack(prompts);
        let rows = (0..batch.tokens.len() as u32).collect();
        (batch, rows)
    };
    // An image alone in its pass, one twice in a pass, one in all of them.
    let passes = [
        pass(&[&video, &three]),
        pass(&[&one, &three, &one]),
        pass(&[&three, &one]),
    ];
    for mode in [Off, Full] {
        let expected = summed(&model, &passes, mode, &mut SharedVision::default());
        let mut vision = sharing(&passes);
        let found = summed(&model, &passes, mode, &mut vision);
        assert_same("beside", &model, &found, &expected);
        let each = [&three, &one, &video].map(|prompt| prompt.vision_index.len());
        // Golden prompts may have pictures in common.
        assert!(vision.tokens() <= each.iter().sum());
        // A pass that was announced and did not come; one more than were announced.
        let expected = summed(&model, &passes[..2], mode, &mut SharedVision::default());
        let mut vision = sharing(&passes);
        let mut found = summed(&model, &passes[..2], mode, &mut vision);
        found.add(vision.finish(&model));
        assert_same("one less", &model, &found, &expected);
        let expected = summed(&model, &passes, mode, &mut SharedVision::default());
        let found = summed(&model, &passes, mode, &mut sharing(&passes[..2]));
        assert_same("one more", &model, &found, &expected);
    }
    let mut vision = sharing(&passes);
    for (batch, _) in &passes {
        let expected = values(model.forward_no_grad(batch).unwrap());
        let found = model.forward_no_grad_shared(batch, &mut vision).unwrap();
        assert_close("no gradients", &values(found), &expected, 1e-5);
    }
}

#[test]
fn a_shared_image_keeps_the_masks_of_its_first_pass() {
    use GradientCheckpointing::{Full, Off, Selective};
    let lora = LoraConfig {
        lora_dropout: 0.3,
        ..LoraConfig::default()
    };
    let mut model = load("qwen2_5_vl");
    model.add_lora(&lora, 2).unwrap();
    let passes = split(&golden_prompt("images3"));
    let mut update = |mode, seeds: [u64; 3]| {
        let mut vision = sharing(&passes);
        let mut sum = ParamGrads::default();
        for (pass, seed) in passes.iter().zip(seeds) {
            model.set_dropout_seed(Some(seed));
            sum.add(one_pass(&model, pass, 0, mode, &mut vision));
        }
        sum
    };
    let kept = update(Off, [3, 4, 5]);
    let again = [Selective, Full].map(|mode| (mode, update(mode, [3, 4, 5])));
    let other = update(Full, [6, 4, 5]);
    for (mode, found) in again {
        assert_same(&format!("{mode:?}"), &model, &found, &kept);
    }
    let tower = |p: &percept_model::Param| p.name().contains("visual.blocks.0.attn.qkv.lora_B");
    let index = model.parameters().iter().position(tower).unwrap();
    let [a, b] = [&kept, &other].map(|grads| grads.get(index).unwrap().clone().into_vec());
    assert!(distance(&a, &b) > 1e-2, "the first pass decides");
}

#[test]
fn accumulated_gradients_are_those_of_one_batch() {
    let model = load("qwen2_5_vl");
    let prompt = golden_prompt("image");
    let rows: Vec<u32> = (0..prompt.tokens.len() as u32).collect();
    let mut sum = gradients(&model, &pack(&[&prompt]), &rows, false);
    sum.add(gradients(&model, &pack(&[&prompt]), &rows, false));
    let once = gradients(&model, &pack(&[&prompt]), &rows, false);
    for i in 0..model.parameters().len() {
        let double: Vec<f32> = once
            .get(i)
            .unwrap()
            .clone()
            .into_vec()
            .iter()
            .map(|g| 2.0 * g)
            .collect();
        assert_close(
            "sum",
            &sum.get(i).unwrap().clone().into_vec(),
            &double,
            1e-6,
        );
    }
}

#[test]
fn frozen_parameters_receive_no_gradient_and_do_not_disturb_the_others() {
    let mut model = load("qwen2_5_vl");
    let prompt = golden_prompt("images3");
    let rows: Vec<u32> = (0..prompt.tokens.len() as u32).collect();
    let all = gradients(&model, &pack(&[&prompt]), &rows, false);
    model.freeze_vision();
    for recompute in [false, true] {
        let some = gradients(&model, &pack(&[&prompt]), &rows, recompute);
        for (i, param) in model.parameters().iter().enumerate() {
            match param.name().starts_with("visual.") {
                true => assert!(some.get(i).is_none(), "{}", param.name()),
                false => assert_close(
                    param.name(),
                    &some.get(i).unwrap().clone().into_vec(),
                    &all.get(i).unwrap().clone().into_vec(),
                    1e-5,
                ),
            }
        }
    }
    model.set_trainable(|_| false);
    let none = gradients(&model, &pack(&[&prompt]), &rows, true);
    assert!(none.iter().all(|grad| grad.is_none()));
    assert!(!model.forward(&pack(&[&prompt])).unwrap().is_tracked());
}

#[test]
fn without_autodiff_the_values_are_the_same() {
    let model = load("qwen2_5_vl");
    let batch = pack(&[&golden_prompt("mixed")]);
    let plain = model.forward_no_grad(&batch).unwrap();
    assert!(!plain.is_tracked());
    let recorded = values(model.forward(&batch).unwrap());
    assert!(
        values(plain) == recorded,
        "the same bits with and without autodiff"
    );
    assert!(
        recorded == values(model.forward(&batch).unwrap()),
        "twice the same bits"
    );
}

#[test]
fn an_update_in_place_changes_the_forward_pass_and_keeps_training() {
    let mut model = load("qwen2");
    let prompt = prompt(&File::open("qwen2", "inputs.safetensors"), "text.");
    let rows: Vec<u32> = (0..prompt.tokens.len() as u32).collect();
    let before = values(model.forward(&pack(&[&prompt])).unwrap());
    for param in model.parameters_mut() {
        param.update(|values| values.iter_mut().for_each(|v| *v *= 1.01));
    }
    assert_ne!(before, values(model.forward(&pack(&[&prompt])).unwrap()));
    let grads = gradients(&model, &pack(&[&prompt]), &rows, false);
    assert!(grads.iter().all(|grad| grad.is_some()));
}

fn tiny() -> ModelConfig {
    let tokens = VisionTokens {
        image: 5,
        video: Some(6),
        start: Some(3),
        end: Some(4),
    };
    TinyConfig::default().config(60, tokens, 2, 0).unwrap()
}

#[test]
fn initialisation_is_a_function_of_the_seed() {
    let make = |seed| Model::init(tiny(), seed, &device()).unwrap();
    let (a, b, c) = (make(1), make(1), make(2));
    for ((a, b), c) in a
        .parameters()
        .iter()
        .zip(b.parameters())
        .zip(c.parameters())
    {
        assert_eq!(a.to_vec(), b.to_vec());
        let values = a.to_vec();
        let root = (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt();
        match a.shape().len() {
            1 => assert!(root == 0.0 || root == 1.0, "{}", a.name()),
            _ => {
                assert_ne!(values, c.to_vec(), "{}", a.name());
                assert!((root / 0.08 - 1.0).abs() < 0.1, "{}: {root}", a.name());
            }
        }
    }
}

#[test]
fn batches_that_do_not_fit_are_refused_by_field() {
    let model = load("qwen2_5_vl");
    let good = || pack(&[&golden_prompt("image")]);
    let refuse = |field: &str, change: &dyn Fn(&mut PackedBatch)| {
        let mut batch = good();
        change(&mut batch);
        let message = model.forward(&batch).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("{field}: ")),
            "{field}: {message}"
        );
    };
    refuse("tokens", &|b| b.tokens[2] = 300);
    refuse("tokens", &|b| b.tokens.clear());
    refuse("positions", &|b| b.positions.truncate(3));
    refuse("layout", &|b| b.layout = Arc::new(Layout::packed(&[3])));
    refuse("vision_index", &|b| b.vision_index.truncate(3));
    refuse("vision_index", &|b| b.vision_index.swap(0, 1));
    refuse("vision_index", &|b| b.images.clear());
    refuse("images", &|b| {
        Arc::make_mut(&mut b.images[0]).grid_thw = [1, 3, 12]
    });
    refuse("images", &|b| {
        Arc::make_mut(&mut b.images[0]).pixels.truncate(9)
    });
    let text = load("qwen2");
    let message = text.forward(&good()).unwrap_err().to_string();
    assert!(message.contains("no vision tower"), "{message}");
}
