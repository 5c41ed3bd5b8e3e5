//! The golden cases as the model's types. See golden/README.md.

#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use percept_data::Patches;
use percept_model::{Model, PackedBatch, Prompt};
use percept_nn::{Layout, Span};
use safetensors::{Dtype, SafeTensors};

/// Every case with a checkpoint of its own, and the prompts it has.
pub const TEXT_CASES: [&str; 5] = ["llama", "llama3_rope", "qwen2", "qwen2_tied", "qwen3"];
pub const VISION_CASES: [&str; 2] = ["qwen2_vl", "qwen2_5_vl"];
pub const VISION_PROMPTS: [&str; 5] = ["text", "image", "images3", "video", "mixed"];

pub fn golden(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(case)
}

pub fn device() -> Device {
    Device::flex()
}

pub fn load(case: &str) -> Model {
    Model::load(&golden(case), &device()).unwrap()
}

/// The tensors of one file.
pub struct File(Vec<u8>);

impl File {
    pub fn open(case: &str, name: &str) -> Self {
        Self(std::fs::read(golden(case).join(name)).unwrap())
    }

    pub fn get(&self, name: &str) -> Option<(Vec<usize>, Vec<f64>)> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).ok()?;
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b).into())
                .collect(),
            Dtype::I64 => data
                .as_chunks()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b) as f64)
                .collect(),
            Dtype::I32 => data
                .as_chunks()
                .0
                .iter()
                .map(|b| i32::from_le_bytes(*b).into())
                .collect(),
            other => panic!("{name}: {other:?}"),
        };
        Some((view.shape().to_vec(), values))
    }

    pub fn f32(&self, name: &str) -> Vec<f32> {
        self.get(name)
            .unwrap()
            .1
            .into_iter()
            .map(|v| v as f32)
            .collect()
    }

    pub fn u32(&self, name: &str) -> Vec<u32> {
        self.get(name)
            .unwrap()
            .1
            .into_iter()
            .map(|v| v as u32)
            .collect()
    }

    fn grids(&self, name: &str) -> Vec<[usize; 3]> {
        let Some((_, values)) = self.get(name) else {
            return Vec::new();
        };
        values
            .as_chunks()
            .0
            .iter()
            .map(|grid: &[f64; 3]| grid.map(|n| n as usize))
            .collect()
    }
}

/// A golden prompt; `prefix` is `"image."` or empty.
pub fn prompt(file: &File, prefix: &str) -> Prompt {
    let name = |part: &str| format!("{prefix}{part}");
    let tokens = file.u32(&name("input_ids"));
    let positions = file.u32(&name("position_ids"));
    let n = tokens.len();
    let kinds = match file.get(&name("mm_token_type_ids")) {
        Some((_, kinds)) => kinds,
        None => vec![0.0; n],
    };
    let mut sources = [
        images(file, &name("pixel_values"), &name("image_grid_thw")).into_iter(),
        images(file, &name("pixel_values_videos"), &name("video_grid_thw")).into_iter(),
    ];
    let mut vision: Vec<Arc<Patches>> = Vec::new();
    // LLaVA's say how many tokens a picture takes; Qwen's are a quarter of the patches.
    let tokens_of = file.get(&name("image_tokens")).map(|(_, v)| v[0] as usize);
    let mut left = 0;
    let vision_index: Vec<u32> = (0..n)
        .filter(|&i| kinds[i] > 0.0)
        .map(|i| i as u32)
        .collect();
    for &row in &vision_index {
        if left == 0 {
            let patches = sources[kinds[row as usize] as usize - 1].next().unwrap();
            let [t, h, w] = patches.grid_thw;
            left = tokens_of.unwrap_or(t * h * w / 4);
            vision.push(Arc::new(patches));
        }
        left -= 1;
    }
    let next_position = file
        .get(&name("next_position"))
        .map_or(0, |(_, v)| v[0] as u32);
    Prompt {
        positions: (0..n)
            .map(|i| [positions[i], positions[n + i], positions[2 * n + i]])
            .collect(),
        tokens,
        next_position,
        vision,
        vision_index,
        text: String::new(),
    }
}

fn images(file: &File, pixels: &str, grids: &str) -> Vec<Patches> {
    let grids = file.grids(grids);
    if grids.is_empty() {
        return Vec::new();
    }
    let values = file.f32(pixels);
    let width = file.get(pixels).unwrap().0[1];
    let mut at = 0;
    let take = |grid_thw: [usize; 3]| {
        let len = grid_thw.iter().product::<usize>() * width;
        at += len;
        Patches {
            grid_thw,
            pixels: values[at - len..at].to_vec(),
        }
    };
    grids.into_iter().map(take).collect()
}

/// Prompts side by side on one axis.
pub fn pack(prompts: &[&Prompt]) -> PackedBatch {
    let mut batch = PackedBatch::default();
    let mut spans = Vec::new();
    for prompt in prompts {
        let start = batch.tokens.len();
        spans.push(Span {
            start,
            len: prompt.tokens.len(),
            prefix_start: 0,
            prefix_len: 0,
        });
        batch.tokens.extend(&prompt.tokens);
        batch.positions.extend(&prompt.positions);
        batch.images.extend(prompt.vision.iter().cloned());
        batch
            .vision_index
            .extend(prompt.vision_index.iter().map(|row| row + start as u32));
    }
    batch.layout = Arc::new(Layout::new(spans, batch.tokens.len()).unwrap());
    batch
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data().try_into_vec().unwrap()
}

/// max |difference| / max |expected|.
pub fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected
        .iter()
        .fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
    let worst = found.iter().zip(expected).fold(0.0f32, |m, (a, b)| {
        if (a - b).is_nan() {
            f32::INFINITY
        } else {
            m.max((a - b).abs())
        }
    });
    worst / scale
}

pub fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    let distance = distance(found, expected);
    println!("{what}: {distance:.2e}");
    assert!(
        distance <= tolerance,
        "{what}: relative difference {distance:e} above {tolerance:e}"
    );
}

/// Logits of the given rows.
pub fn logits(model: &Model, hidden: Tensor<2>, rows: &[u32]) -> Vec<f32> {
    let hidden = percept_nn::embedding(hidden.inner(), rows);
    values(percept_nn::linear(hidden, model.lm_head().inner(), None))
}
