//! LLaVA-1.5's tower: CLIP's vision transformer, of which one of the last blocks is read, and the projector behind it.
//!
//! Every picture is one class token and `(image_size / patch_size)²` patches; positions are learned, attention sees the
//! whole picture. Sources: CLIP (arXiv 2103.00020), LLaVA-1.5 (arXiv 2310.03744).

use std::sync::Arc;

use burn::tensor::Tensor;
use percept_data::Patches;
use percept_nn::{self as nn, Layout};
use percept_weights::{Id, Init, Linear, Specs, Weights};

use crate::vision::plan::{VisionPlan, distinct};
use crate::vision::tower::{Tower, VisionPass};
use crate::{Error, GradientCheckpointing, LlavaVision};

/// Structure of the tower and of the projector.
#[derive(Debug, Clone)]
pub(crate) struct LlavaTower {
    class_embedding: Id,
    patch_embedding: Id,
    position_embedding: Id,
    pre_layernorm: Norm,
    /// Those that are computed; the file has more.
    blocks: Vec<Block>,
    projector: [Linear; 2],
    config: LlavaVision,
}

#[derive(Debug, Clone, Copy)]
struct Norm {
    weight: Id,
    bias: Id,
}

/// Structure of one block.
#[derive(Debug, Clone)]
struct Block {
    layer_norm1: Norm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: Norm,
    fc1: Linear,
    fc2: Linear,
}

impl LlavaTower {
    pub(crate) fn new(config: &LlavaVision, specs: &mut Specs) -> Self {
        let (width, side) = (config.hidden_size, config.patch_size);
        let name = |part: &str| format!("vision_tower.vision_model.{part}");
        let embedding = |specs: &mut Specs, part: &str, shape: &[usize]| {
            specs.add(name(&format!("embeddings.{part}")), shape, Init::Normal)
        };
        let class_embedding = embedding(specs, "class_embedding", &[width]);
        let kernel = [width, config.num_channels, side, side];
        let patch_embedding = embedding(specs, "patch_embedding.weight", &kernel);
        let table = [config.patches() + 1, width];
        let position_embedding = embedding(specs, "position_embedding.weight", &table);
        // So CLIP's code spells it.
        let pre_layernorm = norm(config, &name("pre_layrnorm"), specs);
        let mut blocks: Vec<Block> = (0..config.num_hidden_layers)
            .map(|i| {
                let before = specs.params.len();
                let block = Block::new(config, &name(&format!("encoder.layers.{i}")), specs);
                if i >= config.feature_layers {
                    specs.unused(before);
                }
                block
            })
            .collect();
        blocks.truncate(config.feature_layers);
        let before = specs.params.len();
        norm(config, &name("post_layernorm"), specs);
        specs.unused(before);
        let mut linear = |part: &str, inp: usize| {
            let name = format!("multi_modal_projector.{part}");
            specs.linear(&name, inp, config.out_hidden_size, config.projector_bias)
        };
        Self {
            class_embedding,
            patch_embedding,
            position_embedding,
            pre_layernorm,
            blocks,
            projector: [
                linear("linear_1", width),
                linear("linear_2", config.out_hidden_size),
            ],
            config: config.clone(),
        }
    }

    /// Class token and patches of a picture.
    fn rows(&self) -> usize {
        self.config.patches() + 1
    }

    fn norm(&self, norm: &Norm, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (weights.vector(norm.weight), weights.vector(norm.bias));
        nn::layer_norm(x, weight, bias, self.config.layer_norm_eps)
    }

    /// Of each row of some pictures, its place in the picture.
    fn places(&self, rows: usize) -> Vec<u32> {
        (0..self.rows() as u32).cycle().take(rows).collect()
    }
}

impl Tower for LlavaTower {
    fn check(&self, image: &Patches, index: usize) -> Result<(), Error> {
        let side = self.config.side();
        if image.grid_thw != [1, side, side] {
            let [t, h, w] = image.grid_thw;
            let message = format!(
                "image {index} has a grid of {t} × {h} × {w} patches; this tower reads pictures of \
                 image_size = {} pixels, 1 × {side} × {side} patches\n  help: crop_size in \
                 preprocessor_config.json must be the tower's image_size",
                self.config.image_size
            );
            return Err(Error::batch("images", message));
        }
        let (found, values) = (image.pixels.len(), self.config.patch_values());
        if found != side * side * values {
            let message = format!(
                "image {index} has {found} values for {side} × {side} patches of {values} each"
            );
            return Err(Error::batch("images", message));
        }
        Ok(())
    }

    fn merged_tokens(&self, _: [usize; 3]) -> usize {
        self.config.image_tokens()
    }

    /// The class token's row has no pixels: its embedding comes with its position.
    fn plan(&self, images: &[Arc<Patches>]) -> VisionPlan {
        let (unique, which) = distinct(images);
        let (rows, values) = (self.rows(), self.config.patch_values());
        let mut pixels = Vec::with_capacity(unique.len() * rows * values);
        for image in &unique {
            pixels.extend(std::iter::repeat_n(0.0, values));
            pixels.extend_from_slice(&image.pixels);
        }
        let tokens = self.config.image_tokens();
        let of = |image: usize| (image * tokens..(image + 1) * tokens).map(|row| row as u32);
        VisionPlan {
            patches: unique.len() * rows,
            merged: unique.len() * tokens,
            pixels,
            frames: Arc::new(Layout::packed(&vec![rows; unique.len()])),
            windows: None,
            rotary: None,
            sources: which.into_iter().flat_map(of).collect(),
        }
    }

    fn blocks(&self) -> usize {
        self.blocks.len()
    }

    fn activations(&self, checkpointing: GradientCheckpointing) -> f64 {
        let (depth, hidden) = (self.blocks.len(), self.config.hidden_size);
        // Normed input, queries, keys, values, output.
        let attention = 5 * hidden;
        // Input, normed input, before and behind the activation.
        let mlp = 2 * hidden + 2 * self.config.intermediate_size;
        let row = match checkpointing {
            GradientCheckpointing::Off => depth * (hidden + attention + mlp),
            GradientCheckpointing::Selective => depth * (hidden + mlp) + attention,
            GradientCheckpointing::Full => depth * hidden + attention + mlp,
        };
        (row * self.rows()) as f64 / self.config.image_tokens() as f64
    }

    fn embed(&self, weights: &Weights, pixels: Tensor<2>) -> Tensor<2> {
        let (rows, width) = (pixels.dims()[0], self.config.hidden_size);
        let positions = weights.matrix(self.position_embedding);
        let class = weights.vector(self.class_embedding).reshape([1, width]);
        let first = positions.clone().slice([0..1, 0..width]) + class;
        let rest = positions.slice([1..self.rows(), 0..width]);
        let table = Tensor::cat(vec![first, rest], 0);
        let patches = nn::linear(pixels, weights.matrix(self.patch_embedding), None);
        let x = patches + nn::gather_rows(table, &self.places(rows));
        self.norm(&self.pre_layernorm, weights, x)
    }

    fn attention_part(
        &self,
        index: usize,
        weights: &Weights,
        pass: &VisionPass,
        x: Tensor<2>,
    ) -> Tensor<2> {
        let block = &self.blocks[index];
        let normed = self.norm(&block.layer_norm1, weights, x.clone());
        let (rows, heads) = (x.dims()[0], self.config.num_attention_heads);
        let dim = self.config.hidden_size / heads;
        let [q, k, v] = [&block.q_proj, &block.k_proj, &block.v_proj].map(|linear| {
            let part = weights.linear(linear, normed.clone());
            part.reshape([rows, heads, dim])
        });
        let scale = (dim as f32).powf(-0.5);
        let y = nn::attention(q, k, v, &pass.plan.frames, false, scale);
        x + weights.linear(&block.out_proj, y.reshape([rows, heads * dim]))
    }

    fn mlp_part(&self, index: usize, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        let block = &self.blocks[index];
        let normed = self.norm(&block.layer_norm2, weights, x.clone());
        let inner = nn::quick_gelu(weights.linear(&block.fc1, normed));
        x + weights.linear(&block.fc2, inner)
    }

    fn merge(&self, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        let x = match self.config.keeps_class_token {
            true => x,
            false => {
                let places = self.places(x.dims()[0]).into_iter().zip(0u32..);
                let patches = places.filter(|(place, _)| *place > 0);
                nn::gather_rows(x, &patches.map(|(_, row)| row).collect::<Vec<_>>())
            }
        };
        let x = nn::gelu(weights.linear(&self.projector[0], x));
        weights.linear(&self.projector[1], x)
    }
}

impl Block {
    fn new(config: &LlavaVision, name: &str, specs: &mut Specs) -> Self {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let linear = |specs: &mut Specs, part: &str, inp, out| {
            specs.linear(&format!("{name}.{part}"), inp, out, true)
        };
        let attention = |specs: &mut Specs, part: &str| {
            linear(specs, &format!("self_attn.{part}"), width, width)
        };
        Self {
            k_proj: attention(specs, "k_proj"),
            v_proj: attention(specs, "v_proj"),
            q_proj: attention(specs, "q_proj"),
            out_proj: attention(specs, "out_proj"),
            layer_norm1: norm(config, &format!("{name}.layer_norm1"), specs),
            fc1: linear(specs, "mlp.fc1", width, inner),
            fc2: linear(specs, "mlp.fc2", inner, width),
            layer_norm2: norm(config, &format!("{name}.layer_norm2"), specs),
        }
    }
}

fn norm(config: &LlavaVision, name: &str, specs: &mut Specs) -> Norm {
    let size = [config.hidden_size];
    Norm {
        weight: specs.add(format!("{name}.weight"), &size, Init::Ones),
        bias: specs.add(format!("{name}.bias"), &size, Init::Zeros),
    }
}
