//! M-RoPE: the tables of the decoder and the rotation against transformers' Qwen2.5-VL, on text, an
//! image and positions far behind it. Golden by `tools/operator_goldens.py`.

#![allow(clippy::unwrap_used)]

#[path = "../../nn/tests/common/mod.rs"]
mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::{Summary, constant, leaf};
use percept_model::{ModelConfig, rotary_tables};
use percept_nn as nn;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    dim: usize,
    theta: f64,
    section: [usize; 3],
    positions: Vec<[u32; 3]>,
    /// The rotated values and their gradient.
    arrays: Vec<Summary>,
}

fn config(case: &Case) -> ModelConfig {
    let config = json!({
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl",
        "hidden_size": 2 * case.dim, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "intermediate_size": 64, "vocab_size": 300,
        "max_position_embeddings": 32768, "rope_theta": case.theta, "rms_norm_eps": 1e-6,
        "hidden_act": "silu", "tie_word_embeddings": true,
        "bos_token_id": 0, "eos_token_id": 0,
        "rope_scaling": { "type": "mrope", "mrope_section": case.section },
        "image_token_id": 5, "video_token_id": 6, "vision_start_token_id": 3, "vision_end_token_id": 4,
        "vision_config": {
            "depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
            "out_hidden_size": 2 * case.dim, "patch_size": 4, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "window_size": 16, "fullatt_block_indexes": [0],
            "in_channels": 3, "hidden_act": "silu", "tokens_per_second": 2,
        },
    });
    ModelConfig::from_json(config, "mrope.rs").unwrap()
}

#[test]
fn images_turn_by_time_height_and_width_as_in_transformers() {
    let golden: Golden = serde_json::from_str(include_str!("golden/mrope.json")).unwrap();
    for case in golden.cases {
        let (tokens, dim) = (case.positions.len(), case.dim);
        let tables: [Vec<f32>; 2] = rotary_tables(&config(&case).text, &case.positions).into();
        let [cos, sin] = tables.map(|table| {
            let data = TensorData::new(table, [tokens, dim]);
            Tensor::<2>::from_data(data, &Device::flex())
        });
        let x = leaf(1, [tokens, 3, dim]);
        let out = nn::rotary(x.clone(), cos, sin);
        let mut grads = (out.clone() * constant(99, [tokens, 3, dim]))
            .sum()
            .backward();
        let found = [out, x.grad_remove(&mut grads).unwrap()];
        for (name, (found, expected)) in ["result", "gradient"]
            .iter()
            .zip(found.iter().zip(&case.arrays))
        {
            expected.check(&format!("head of {dim}, {name}"), &nn::to_vec(found), 1e-5);
        }
    }
}
