//! The models and batches that the suites run: those of the peer.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use percept_data::Patches;
use percept_model::{Device, Model, ModelConfig, Prompt, TinyConfig, VisionTokens};
use percept_train::{Learner, Objective, PackItem, Packed, TokenValues, pack};
use serde_json::json;

use crate::shared::Failure;

/// Hidden width, heads and so on of the decoder: 20 million parameters.
pub const HIDDEN: usize = 512;
pub const INNER: usize = 1536;
pub const HEADS: usize = 8;
pub const KV_HEADS: usize = 2;
pub const DIM: usize = HIDDEN / HEADS;
pub const VOCABULARY: usize = 8192;
pub const LAYERS: usize = 4;

/// A Llama decoder of 20 million parameters with random weights.
pub fn decoder(device: &Device) -> Result<Model, Failure> {
    let config = ModelConfig::from_json(
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama",
            "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
            "intermediate_size": INNER, "vocab_size": VOCABULARY,
            "tie_word_embeddings": false, "max_position_embeddings": 65536,
            "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "hidden_act": "silu",
            "bos_token_id": 0, "eos_token_id": 0,
        }),
        "percept bench",
    )?;
    Ok(Model::init(config, 0, device)?)
}

/// The decoder's shape with a vision tower (Qwen2.5-VL).
pub fn vision_language(device: &Device) -> Result<Model, Failure> {
    let tiny = TinyConfig {
        hidden_size: HIDDEN,
        intermediate_size: INNER,
        num_hidden_layers: LAYERS,
        num_attention_heads: HEADS,
        num_key_value_heads: KV_HEADS,
        tie_word_embeddings: false,
        ..TinyConfig::default()
    };
    let tokens = VisionTokens {
        image: 5,
        video: Some(6),
        start: Some(3),
        end: Some(4),
    };
    Ok(Model::init(
        tiny.config(VOCABULARY, tokens, 2, 0)?,
        0,
        device,
    )?)
}

pub fn learner(model: Model) -> Result<Learner, Failure> {
    let recipe = percept_train::parse(
        crate::shared::quickstart_recipe::RECIPE,
        "the quick-start recipe",
        &[],
    )?;
    Ok(Learner::new(model, &recipe))
}

/// Text of `len` tokens.
pub fn tokens(len: usize, seed: usize) -> Vec<u32> {
    (0..len)
        .map(|i| ((i + seed) * 31 % (VOCABULARY - 7)) as u32 + 7)
        .collect()
}

/// A prompt of `len` tokens; with `image`, 256 of them are one image's.
pub fn prompt(len: usize, seed: usize, image: bool) -> Prompt {
    let mut prompt = Prompt {
        tokens: tokens(len, seed),
        positions: (0..len as u32).map(|at| [at; 3]).collect(),
        next_position: len as u32,
        vision: Vec::new(),
        vision_index: Vec::new(),
        text: String::new(),
    };
    if image {
        let grid_thw = [1, 32, 32];
        let values = grid_thw.iter().product::<usize>() * PATCH;
        let pixels = (0..values).map(|i| (i * 31 % 101) as f32 / 50.0 - 1.0);
        prompt.vision.push(Arc::new(Patches {
            grid_thw,
            pixels: pixels.collect(),
        }));
        prompt.vision_index = (10..10 + 256).collect();
    }
    prompt
}

/// Values of a patch: three channels, two frames, 7 × 7 pixels (the built-in model's patches).
const PATCH: usize = 3 * 2 * 7 * 7;

/// Rows of `len` tokens with a loss on every one but the first.
pub fn sft(rows: usize, len: usize) -> Result<Packed, Failure> {
    let all: Vec<(Prompt, Vec<u32>)> = (0..rows)
        .map(|row| (prompt(1, row, false), tokens(len - 1, row + 1)))
        .collect();
    let items: Vec<PackItem<'_>> = all
        .iter()
        .map(|(prompt, rest)| PackItem {
            prompt,
            responses: vec![rest],
        })
        .collect();
    Ok(pack(&items)?)
}

/// A group of responses to one prompt, with the prompt computed once or for each of them.
pub fn group(prompt: &Prompt, responses: &[Vec<u32>], share: bool) -> Result<Packed, Failure> {
    let parts = match share {
        true => responses.chunks(responses.len().max(1)),
        false => responses.chunks(1),
    };
    let items: Vec<PackItem<'_>> = parts
        .map(|part| PackItem {
            prompt,
            responses: part.iter().map(Vec::as_slice).collect(),
        })
        .collect();
    Ok(pack(&items)?)
}

/// The mean negative log-probability.
pub fn mean_loss(values: &TokenValues) -> Objective {
    let count = values.log_prob.len() as f64;
    Objective {
        loss: -values.log_prob.iter().map(|&x| f64::from(x)).sum::<f64>() / count,
        d_log_prob: vec![(-1.0 / count) as f32; values.log_prob.len()],
        d_entropy: None,
        d_kl: None,
    }
}

/// Numbers in −1..1, tracked by autodiff.
pub fn leaf<const D: usize>(seed: usize, shape: [usize; D]) -> Tensor<D> {
    leaf_on(&Device::flex(), seed, shape)
}

/// [`leaf`] on a device.
pub fn leaf_on<const D: usize>(device: &Device, seed: usize, shape: [usize; D]) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|i| ((i + seed).wrapping_mul(2_654_435_761) % 65_536) as f32 / 32_768.0 - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
        .autodiff()
        .require_grad()
}
