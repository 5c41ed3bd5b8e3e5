//! The vision towers of Qwen2-VL and Qwen2.5-VL.

use std::sync::Arc;

use burn::tensor::Tensor;
use percept_data::Patches;
use percept_nn as nn;
use percept_weights::{Id, Init, Linear, Specs, Weights};

use crate::vision::plan::VisionPlan;
use crate::vision::tower::{Tower, VisionPass};
use crate::vision::windowed::check_image;
use crate::{Error, GradientCheckpointing, Qwen2VlVision};

/// Both towers' norms have this constant in their code, not in their configuration.
const NORM_EPS: f64 = 1e-6;

/// Structure of the tower.
#[derive(Debug, Clone)]
pub(crate) struct Qwen2VlTower {
    patch_embed: Id,
    blocks: Vec<Block>,
    merger_norm: Norm,
    merger: [Linear; 2],
    config: Qwen2VlVision,
}

/// LayerNorm where it has a bias (Qwen2-VL), else RMSNorm (Qwen2.5-VL).
#[derive(Debug, Clone, Copy)]
struct Norm {
    weight: Id,
    bias: Option<Id>,
}

/// Structure of one block.
#[derive(Debug, Clone)]
struct Block {
    norm1: Norm,
    qkv: Linear,
    proj: Linear,
    norm2: Norm,
    mlp: Mlp,
    windowed: bool,
}

#[derive(Debug, Clone)]
enum Mlp {
    /// SwiGLU with biases (Qwen2.5-VL).
    Gated {
        gate: Linear,
        up: Linear,
        down: Linear,
    },
    /// quick-GELU between two layers (Qwen2-VL).
    Plain { fc1: Linear, fc2: Linear },
}

impl Qwen2VlTower {
    pub(crate) fn new(config: &Qwen2VlVision, specs: &mut Specs) -> Self {
        let side = config.patch_size;
        let kernel = [
            config.hidden_size,
            config.in_channels,
            config.temporal_patch_size,
            side,
            side,
        ];
        let name = "visual.patch_embed.proj.weight".to_string();
        let patch_embed = specs.add(name, &kernel, Init::Normal);
        let blocks = (0..config.depth)
            .map(|i| Block::new(config, i, specs))
            .collect();
        let merged = config.hidden_size * config.merge_unit();
        let merger_norm = norm(config, "visual.merger.ln_q", specs);
        let first = specs.linear("visual.merger.mlp.0", merged, merged, true);
        let second = specs.linear("visual.merger.mlp.2", merged, config.out_hidden_size, true);
        let merger = [first, second];
        Self {
            patch_embed,
            blocks,
            merger_norm,
            merger,
            config: config.clone(),
        }
    }

    fn attention(
        &self,
        block: &Block,
        weights: &Weights,
        pass: &VisionPass,
        x: Tensor<2>,
    ) -> Tensor<2> {
        let (rows, dim) = (x.dims()[0], self.config.head_dim());
        let shape = [rows, self.config.num_heads, dim];
        let [q, k, v] = weights
            .linear3(&block.qkv, x)
            .map(|part| part.reshape(shape));
        let turn = |x: Tensor<3>| match &pass.rotary {
            Some((cos, sin)) => nn::rotary(x, cos.clone(), sin.clone()),
            None => x,
        };
        let layout = match &pass.plan.windows {
            Some(windows) if block.windowed => windows,
            _ => &pass.plan.frames,
        };
        let scale = (dim as f32).powf(-0.5);
        let y = nn::attention(turn(q), turn(k), v, layout, false, scale);
        weights.linear(&block.proj, y.reshape([rows, self.config.hidden_size]))
    }
}

impl Tower for Qwen2VlTower {
    fn check(&self, image: &Patches, index: usize) -> Result<(), Error> {
        check_image(&self.config, image, index)
    }

    fn merged_tokens(&self, grid_thw: [usize; 3]) -> usize {
        self.config.merged_tokens(grid_thw)
    }

    fn plan(&self, images: &[Arc<Patches>]) -> VisionPlan {
        VisionPlan::windowed(&self.config, images)
    }

    fn blocks(&self) -> usize {
        self.blocks.len()
    }

    fn activations(&self, checkpointing: GradientCheckpointing) -> f64 {
        let (depth, hidden) = (self.config.depth, self.config.hidden_size);
        let inner = self.config.intermediate_size;
        // Normed input, queries, keys, values, output.
        let attention = 5 * hidden;
        // Input, normed input, gate, up, their product.
        let mlp = 2 * hidden + 3 * inner;
        let patch = match checkpointing {
            GradientCheckpointing::Off => depth * (hidden + attention + mlp),
            GradientCheckpointing::Selective => depth * (hidden + mlp - inner) + attention,
            GradientCheckpointing::Full => depth * hidden + attention + mlp,
        };
        (self.config.merge_unit() * patch) as f64
    }

    fn embed(&self, weights: &Weights, pixels: Tensor<2>) -> Tensor<2> {
        nn::linear(pixels, weights.matrix(self.patch_embed), None)
    }

    fn attention_part(
        &self,
        index: usize,
        weights: &Weights,
        pass: &VisionPass,
        x: Tensor<2>,
    ) -> Tensor<2> {
        let block = &self.blocks[index];
        let normed = apply(&block.norm1, weights, x.clone());
        x + self.attention(block, weights, pass, normed)
    }

    fn mlp_part(&self, index: usize, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        let block = &self.blocks[index];
        let normed = apply(&block.norm2, weights, x.clone());
        x + match &block.mlp {
            Mlp::Gated { gate, up, down } => {
                let gate = weights.linear(gate, normed.clone());
                weights.linear(down, nn::swiglu(gate, weights.linear(up, normed)))
            }
            Mlp::Plain { fc1, fc2 } => {
                let x = weights.linear(fc1, normed);
                weights.linear(fc2, nn::quick_gelu(x))
            }
        }
    }

    fn merge(&self, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        let unit = self.config.merge_unit();
        let (rows, width) = (x.dims()[0] / unit, self.config.hidden_size * unit);
        let x = apply(&self.merger_norm, weights, x).reshape([rows, width]);
        let x = nn::gelu(weights.linear(&self.merger[0], x));
        weights.linear(&self.merger[1], x)
    }
}

impl Block {
    fn new(config: &Qwen2VlVision, index: usize, specs: &mut Specs) -> Self {
        let name = format!("visual.blocks.{index}");
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let linear = |specs: &mut Specs, part: &str, inp, out| {
            specs.linear(&format!("{name}.{part}"), inp, out, true)
        };
        Self {
            norm1: norm(config, &format!("{name}.norm1"), specs),
            norm2: norm(config, &format!("{name}.norm2"), specs),
            qkv: linear(specs, "attn.qkv", width, 3 * width),
            proj: linear(specs, "attn.proj", width, width),
            mlp: match config.windows {
                Some(_) => Mlp::Gated {
                    gate: linear(specs, "mlp.gate_proj", width, inner),
                    up: linear(specs, "mlp.up_proj", width, inner),
                    down: linear(specs, "mlp.down_proj", inner, width),
                },
                None => Mlp::Plain {
                    fc1: linear(specs, "mlp.fc1", width, inner),
                    fc2: linear(specs, "mlp.fc2", inner, width),
                },
            },
            windowed: config
                .windows
                .as_ref()
                .is_some_and(|windows| !windows.fullatt_block_indexes.contains(&index)),
        }
    }
}

fn norm(config: &Qwen2VlVision, name: &str, specs: &mut Specs) -> Norm {
    let size = [config.hidden_size];
    let weight = specs.add(format!("{name}.weight"), &size, Init::Ones);
    let bias = match config.windows {
        Some(_) => None,
        None => Some(specs.add(format!("{name}.bias"), &size, Init::Zeros)),
    };
    Norm { weight, bias }
}

fn apply(norm: &Norm, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
    match norm.bias {
        None => weights.rms_norm(x, norm.weight, NORM_EPS),
        Some(bias) => nn::layer_norm(
            x,
            weights.vector(norm.weight),
            weights.vector(bias),
            NORM_EPS,
        ),
    }
}
