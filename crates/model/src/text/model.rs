//! The decoder: Llama, Qwen2, Qwen2.5, Qwen3 and the text half of the Qwen-VL models.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use percept_nn::{self as nn, Layout};
use percept_weights::{Id, Init, Linear, Specs, Weights};

use crate::pass::part::Part;
use crate::text::attention::PassAttention;
use crate::text::layer::TextLayer;
use crate::{ModelConfig, PackedBatch, TextConfig, rotary_tables};

/// Structure of the decoder.
#[derive(Debug, Clone)]
pub(crate) struct TextModel {
    pub(crate) embed_tokens: Id,
    pub(crate) layers: Vec<TextLayer>,
    pub(crate) norm: Id,
    /// `embed_tokens` when tied.
    pub(crate) lm_head: Id,
    /// Of NSA, one for each layer; empty for every other attention.
    pub(crate) gates: Vec<Linear>,
    config: TextConfig,
}

/// What all layers of one pass share.
pub(crate) struct TextPass {
    layout: Arc<Layout>,
    attention: PassAttention,
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl TextPass {
    pub(crate) fn new(config: &ModelConfig, batch: &PackedBatch, device: &Device) -> Self {
        let (cos, sin) = rotary_tables(&config.text, &batch.positions);
        let shape = [batch.positions.len(), config.text.head_dim];
        Self {
            layout: batch.layout.clone(),
            attention: PassAttention::new(&config.attention, &batch.tokens),
            cos: Tensor::from_data(TensorData::new(cos, shape), device),
            sin: Tensor::from_data(TensorData::new(sin, shape), device),
        }
    }
}

impl TextModel {
    pub(crate) fn new(config: &ModelConfig, specs: &mut Specs) -> Self {
        let text = &config.text;
        let table = [text.vocab_size, text.hidden_size];
        let embed_tokens = specs.add("model.embed_tokens.weight".into(), &table, Init::Normal);
        let layers = (0..text.num_hidden_layers)
            .map(|i| TextLayer::new(text, i, specs))
            .collect();
        let norm = specs.add("model.norm.weight".into(), &[text.hidden_size], Init::Ones);
        let lm_head = match config.tie_word_embeddings {
            true => embed_tokens,
            false => specs.add("lm_head.weight".into(), &table, Init::Normal),
        };
        Self {
            embed_tokens,
            layers,
            norm,
            lm_head,
            gates: Vec::new(),
            config: text.clone(),
        }
    }

    pub(crate) fn embed(&self, weights: &Weights, tokens: &[u32]) -> Tensor<2> {
        nn::embedding(weights.matrix(self.embed_tokens), tokens)
    }

    /// One layer: `[T, hidden]` → `[T, hidden]`.
    pub(crate) fn layer(
        &self,
        index: usize,
        weights: &Weights,
        pass: &TextPass,
        x: Tensor<2>,
    ) -> Tensor<2> {
        let x = self.attention_part(index, weights, pass, x);
        self.mlp_part(index, weights, x, false)
    }

    /// A layer up to its MLP.
    fn attention_part(
        &self,
        index: usize,
        weights: &Weights,
        pass: &TextPass,
        x: Tensor<2>,
    ) -> Tensor<2> {
        let layer = &self.layers[index];
        let eps = self.config.rms_norm_eps;
        let normed = weights.rms_norm(x.clone(), layer.input_layernorm, eps);
        x + self.attention(index, weights, pass, normed)
    }

    /// The rest of a layer; `again`: the backward pass computes the product of gate and up again.
    fn mlp_part(&self, index: usize, weights: &Weights, x: Tensor<2>, again: bool) -> Tensor<2> {
        let layer = &self.layers[index];
        let eps = self.config.rms_norm_eps;
        let normed = weights.rms_norm(x.clone(), layer.post_attention_layernorm, eps);
        let gate = weights.linear(&layer.gate_proj, normed.clone());
        let up = weights.linear(&layer.up_proj, normed);
        x + match again {
            true => weights.swiglu_linear(&layer.down_proj, gate, up),
            false => weights.linear(&layer.down_proj, nn::swiglu(gate, up)),
        }
    }

    pub(crate) fn part(
        &self,
        part: Part,
        weights: &Weights,
        pass: &TextPass,
        x: Tensor<2>,
    ) -> Tensor<2> {
        match part {
            Part::Layer(index) => self.layer(index, weights, pass, x),
            Part::Attention(index) => self.attention_part(index, weights, pass, x),
            Part::Mlp(index) => self.mlp_part(index, weights, x, true),
        }
    }

    fn attention(
        &self,
        index: usize,
        weights: &Weights,
        pass: &TextPass,
        x: Tensor<2>,
    ) -> Tensor<2> {
        let (layer, config) = (&self.layers[index], &self.config);
        let (rows, dim) = (x.dims()[0], config.head_dim);
        let heads = |x: Tensor<2>, n: usize| x.reshape([rows, n, dim]);
        let normed = |x: Tensor<2>, n: usize, norm: Option<Id>| match norm {
            None => heads(x, n),
            Some(id) => {
                let each = x.reshape([rows * n, dim]);
                heads(weights.rms_norm(each, id, config.rms_norm_eps), n)
            }
        };
        let (q_heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
        let q = weights.linear(&layer.q_proj, x.clone());
        let q = normed(q, q_heads, layer.qk_norm.map(|norm| norm.0));
        let q = nn::rotary(q, pass.cos.clone(), pass.sin.clone());
        let k = weights.linear(&layer.k_proj, x.clone());
        let k = normed(k, kv_heads, layer.qk_norm.map(|norm| norm.1));
        let k = nn::rotary(k, pass.cos.clone(), pass.sin.clone());
        let v = heads(weights.linear(&layer.v_proj, x.clone()), kv_heads);
        let scale = (dim as f32).powf(-0.5);
        let y = match &pass.attention {
            PassAttention::Full => nn::attention(q, k, v, &pass.layout, true, scale),
            PassAttention::Blocks { pattern, marks } => {
                nn::sparse::attention(pattern, q, k, v, &pass.layout, marks, scale)
            }
            PassAttention::Nsa(branches) => {
                let gates = weights.linear(&self.gates[index], x);
                nn::sparse::nsa::attention(branches, [q, k, v], gates, &pass.layout, scale)
            }
        };
        weights.linear(&layer.o_proj, y.reshape([rows, q_heads * dim]))
    }

    pub(crate) fn norm(&self, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        weights.rms_norm(x, self.norm, self.config.rms_norm_eps)
    }
}
