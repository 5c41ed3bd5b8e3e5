//! Models on every device of this build that the machine has (see `subjects.rs`), against the CPU
//! and, through it, against transformers: hidden states, logits, gradients, adapters, learning.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../nn/tests/common/subjects.rs"]
mod subjects;

use common::*;
use percept_kernels::sparse::{AttentionConfig, Phsa};
use percept_model::{
    Attention, Decoder, Device, Error, LoraConfig, Model, PackedBatch, ParamGrads, SaveDtype,
};
use subjects::{Subject, subjects};

fn open(case: &str, device: &Device) -> Model {
    Model::load(&golden(case), device).unwrap()
}

fn prompts(case: &str, names: &[&str]) -> PackedBatch {
    let inputs = File::open(case, "inputs.safetensors");
    let prompts: Vec<_> = names
        .iter()
        .map(|name| prompt(&inputs, &format!("{name}.")))
        .collect();
    pack(&prompts.iter().collect::<Vec<_>>())
}

/// Log-probabilities of the next tokens, their entropies, and the gradients of a mix of both.
fn pass(model: &Model, batch: &PackedBatch, recompute: bool) -> (Vec<f32>, Vec<f32>, ParamGrads) {
    let rows: Vec<u32> = (0..batch.tokens.len() as u32 - 1).collect();
    let targets = &batch.tokens[1..];
    let ((log_prob, entropy), grads) = model
        .forward_backward::<_, Error>(batch, recompute, |hidden| {
            let hidden = percept_nn::gather_rows(hidden, &rows);
            let stats = percept_nn::linear_log_prob(hidden, model.lm_head(), targets, 0.8);
            let read = (
                values(stats.log_prob.clone()),
                values(stats.entropy.clone()),
            );
            Ok((stats.entropy.mean() - stats.log_prob.mean(), read))
        })
        .unwrap();
    (log_prob, entropy, grads)
}

fn same_gradients(subject: &Subject, what: &str, model: &Model, host: &Model, batch: &PackedBatch) {
    let expected = pass(host, batch, false);
    for recompute in [false, true] {
        let found = pass(model, batch, recompute);
        let what = format!("{} {what}, recompute {recompute}", subject.name);
        let tolerance = subject.tolerance;
        assert_close(
            &format!("{what}: log_prob"),
            &found.0,
            &expected.0,
            tolerance,
        );
        assert_close(
            &format!("{what}: entropy"),
            &found.1,
            &expected.1,
            tolerance,
        );
        for (index, param) in host.parameters().iter().enumerate() {
            let what = format!("{what}: {}", param.name());
            let pair = [&found.2, &expected.2].map(|grads| grads.get(index).cloned());
            match pair.map(|grad| grad.map(|g| g.into_vec())) {
                [Some(found), Some(expected)] => assert_close(&what, &found, &expected, tolerance),
                [None, None] => {}
                _ => panic!("{what}: a gradient on one side"),
            }
        }
    }
}

#[test]
fn every_family_equals_transformers() {
    for subject in subjects() {
        let cases = TEXT_CASES.map(|case| (case, &["text"][..]));
        let vision = VISION_CASES.map(|case| (case, &VISION_PROMPTS[..]));
        for (case, prompts) in cases.into_iter().chain(vision) {
            let model = open(case, &subject.device);
            let inputs = File::open(case, "inputs.safetensors");
            let expected = File::open(case, "expected.safetensors");
            for name in prompts {
                let prompt = prompt(&inputs, &format!("{name}."));
                let hidden = model.forward(&pack(&[&prompt])).unwrap();
                let rows = expected.u32(&format!("{name}.logit_rows"));
                let found = [values(hidden.clone()), logits(&model, hidden, &rows)];
                for (part, found) in ["hidden", "logits"].iter().zip(found) {
                    let want = expected.f32(&format!("{name}.{part}"));
                    let what = format!("{} {case} {name} {part}", subject.name);
                    assert_close(&what, &found, &want, subject.tolerance);
                }
            }
        }
    }
}

#[test]
fn gradients_are_those_of_the_cpu() {
    for subject in subjects() {
        for (case, names) in [
            ("qwen2_5_vl", &["images3", "text", "video"][..]),
            ("qwen2_vl", &["image", "text"]),
            ("qwen3", &["text"]),
        ] {
            let batch = prompts(case, names);
            let (model, host) = (open(case, &subject.device), open(case, &Device::flex()));
            same_gradients(subject, case, &model, &host, &batch);
        }
    }
}

#[test]
fn sparse_attention_trains_on_devices() {
    let phsa = AttentionConfig::Phsa(Phsa {
        init: 16,
        local: 16,
        top_k: 1,
        ..Phsa::default()
    });
    let marks = (0..200).filter(|token| token % 5 == 0).collect();
    let attention = Attention::new(phsa, marks).unwrap();
    for subject in subjects() {
        let batch = prompts("qwen2_5_vl", &["images3"]);
        let [model, host] = [&subject.device, &Device::flex()].map(|device| {
            let mut model = open("qwen2_5_vl", device);
            model.set_attention(attention.clone()).unwrap();
            model
        });
        same_gradients(subject, "phsa", &model, &host, &batch);
    }
}

#[test]
fn adapters_with_dropout_train_and_merge() {
    let config = LoraConfig {
        lora_dropout: 0.2,
        ..LoraConfig::default()
    };
    for subject in subjects() {
        let batch = prompts("qwen2_5_vl", &["image", "text"]);
        let [mut model, mut host] = [&subject.device, &Device::flex()].map(|device| {
            let mut model = open("qwen2_5_vl", device);
            model.add_lora(&config, 3).unwrap();
            for param in model.parameters_mut() {
                if param.name().contains("lora_B") {
                    param.update(|values| {
                        let numbers = (0..11).cycle().map(|i| (i as f32 - 5.0) * 0.01);
                        values.iter_mut().zip(numbers).for_each(|(v, n)| *v = n);
                    });
                }
            }
            model.set_dropout_seed(Some(5));
            model
        });
        same_gradients(subject, "lora", &model, &host, &batch);
        model.merge_lora().unwrap();
        host.merge_lora().unwrap();
        for (param, expected) in model.parameters().iter().zip(host.parameters()) {
            let what = format!("{} merged {}", subject.name, param.name());
            assert_close(
                &what,
                &param.to_vec(),
                &expected.to_vec(),
                subject.tolerance,
            );
        }
    }
}

#[test]
fn the_sampler_and_checkpoints_see_the_very_weights_of_the_device() {
    for subject in subjects() {
        let host = open("qwen2_5_vl", &Device::flex());
        let model = open("qwen2_5_vl", &subject.device);
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path(), SaveDtype::F32).unwrap();
        let again = Model::load(folder.path(), &Device::flex()).unwrap();
        for (param, expected) in again.parameters().iter().zip(host.parameters()) {
            assert_eq!(param.to_vec(), expected.to_vec(), "{}", param.name());
        }
        let tokens = [7, 8, 9, 10];
        let positions: Vec<[u32; 3]> = (0..4).map(|at| [at; 3]).collect();
        let [found, expected] = [&model, &host].map(|model| {
            let decoder = Decoder::new(model).unwrap();
            let prefix = decoder.prefill(decoder.embed(&tokens), &tokens, &positions, 4);
            prefix.logits().to_vec()
        });
        assert_eq!(found, expected);
    }
}
