//! The whole of it learns: two prompts that differ in their image alone get different answers
//! after a few AdamW steps, so gradients reach the tower and updates reach the next pass.

#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../nn/tests/common/subjects.rs"]
mod subjects;

use std::sync::Arc;

use common::*;
use percept_data::Patches;
use percept_model::{
    Device, Error, Model, PackedBatch, Prompt, TinyConfig, TinyVisionConfig, VisionTokens,
};
use percept_nn::{AdamW, Moments, linear_log_prob, to_vec};

const STEPS: usize = 80;

fn tiny(device: &Device) -> Model {
    let tokens = VisionTokens {
        image: 5,
        video: Some(6),
        start: Some(3),
        end: Some(4),
    };
    let vision = TinyVisionConfig {
        depth: 2,
        hidden_size: 32,
        num_heads: 2,
        intermediate_size: 64,
        fullatt_block_indexes: vec![1],
        ..TinyVisionConfig::default()
    };
    let config = TinyConfig {
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        intermediate_size: 64,
        vision,
        ..TinyConfig::default()
    };
    Model::init(config.config(40, tokens, 2, 0).unwrap(), 1, device).unwrap()
}

/// An image that is bright on the left or on the right, and a question.
fn prompt(left: bool) -> Prompt {
    let width = 3 * 2 * 7 * 7;
    // Patches of a merged token stand together; tokens 0 and 2 are on the left.
    let bright = |patch: usize| (patch / 4).is_multiple_of(2) == left;
    let pixels = (0..16 * width)
        .map(|i| if bright(i / width) { 1.0 } else { -1.0 })
        .collect();
    let tokens = vec![3, 5, 5, 5, 5, 4, 10, 11];
    let rows = [
        [0; 3],
        [1, 1, 1],
        [1, 1, 2],
        [1, 2, 1],
        [1, 2, 2],
        [3; 3],
        [4; 3],
        [5; 3],
    ];
    Prompt {
        tokens,
        positions: rows.to_vec(),
        next_position: 6,
        vision: vec![Arc::new(Patches {
            grid_thw: [1, 4, 4],
            pixels,
        })],
        vision_index: vec![1, 2, 3, 4],
        text: String::new(),
    }
}

#[test]
fn answers_come_to_depend_on_the_image() {
    learns(&Device::flex());
    for subject in subjects::subjects() {
        println!("{}", subject.name);
        learns(&subject.device);
    }
}

fn learns(device: &Device) {
    let mut model = tiny(device);
    let batch: PackedBatch = pack(&[&prompt(true), &prompt(false)]);
    let (rows, targets) = ([7, 15], [20, 30]);
    let mut moments: Vec<Moments> = model
        .parameters()
        .iter()
        .map(|param| Moments::zeros(param.numel(), model.device()))
        .collect();
    let adamw = AdamW {
        lr: 3e-3,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weight_decay: 0.0,
        grad_scale: 1.0,
    };
    let mut log_probs = Vec::new();
    for step in 1..=STEPS {
        let (log_prob, grads) = model
            .forward_backward::<_, Error>(&batch, step % 2 == 0, |hidden| {
                let hidden = percept_nn::gather_rows(hidden, &rows);
                let stats = linear_log_prob(hidden, model.lm_head(), &targets, 1.0);
                let values = to_vec(&stats.log_prob);
                Ok((-stats.log_prob.mean(), values))
            })
            .unwrap();
        log_probs = log_prob;
        for ((param, grad), moments) in model
            .parameters_mut()
            .iter_mut()
            .zip(grads)
            .zip(&mut moments)
        {
            let grad = grad.unwrap_or_else(|| panic!("{} has no gradient", param.name()));
            param.replace(|values| adamw.step(values, grad.into_flat(), moments, step));
        }
    }
    assert!(
        log_probs.iter().all(|p| *p > -0.1),
        "{log_probs:?} after {STEPS} steps"
    );
}
