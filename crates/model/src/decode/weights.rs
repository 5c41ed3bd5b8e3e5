//! Packed weights of a decoder, from the same table of layers that training computes with.

use percept_kernels::decode::{Linear, WeightDtype};
use percept_weights::Id;
use rayon::prelude::*;

use crate::ModelConfig;
use crate::text::model::TextModel;

/// All weights. Products that read the same rows are one: q, k, v, NSA's gates; and gate, up.
pub(super) struct Weights {
    pub(super) hidden: usize,
    /// Values of all query heads.
    pub(super) queries: usize,
    /// Gates of all query heads; 0 where attention has none.
    pub(super) gates: usize,
    pub(super) intermediate: usize,
    pub(super) head_dim: usize,
    /// Query and key heads: those that are rotated.
    pub(super) rotated: usize,
    pub(super) eps: f32,
    /// `[vocab, hidden]`; `None` when the head is tied to it and holds the rows.
    pub(super) embedding: Option<Vec<f32>>,
    pub(super) blocks: Vec<Layer>,
    pub(super) norm: Vec<f32>,
    pub(super) head: Linear,
}

/// One decoder layer.
pub(super) struct Layer {
    pub(super) input_norm: Vec<f32>,
    pub(super) qkv: Linear,
    /// Norms of query and key heads (Qwen3).
    pub(super) qk_norm: Option<(Vec<f32>, Vec<f32>)>,
    pub(super) o: Linear,
    pub(super) post_norm: Vec<f32>,
    pub(super) gate_up: Linear,
    pub(super) down: Linear,
}

impl Weights {
    /// Packs the parameters that `text` names; `values` gives those of an index, row-major, with its adapter added.
    pub(super) fn new(
        config: &ModelConfig,
        text: &TextModel,
        dtype: WeightDtype,
        values: impl Fn(Id) -> Vec<f32> + Sync,
    ) -> Self {
        let options = &config.text;
        let pack = |parts: &[&percept_weights::Linear]| pack(parts, dtype, &values);
        let layer = |index: usize| {
            let layer = &text.layers[index];
            let mut qkv = vec![&layer.q_proj, &layer.k_proj, &layer.v_proj];
            qkv.extend(text.gates.get(index));
            Layer {
                input_norm: values(layer.input_layernorm),
                qkv: pack(&qkv),
                qk_norm: layer.qk_norm.map(|(q, k)| (values(q), values(k))),
                o: pack(&[&layer.o_proj]),
                post_norm: values(layer.post_attention_layernorm),
                gate_up: pack(&[&layer.gate_proj, &layer.up_proj]),
                down: pack(&[&layer.down_proj]),
            }
        };
        let blocks = (0..text.layers.len()).into_par_iter().map(layer).collect();
        let (hidden, vocab) = (options.hidden_size, options.vocab_size);
        let head = values(text.lm_head);
        let head = Linear::concat(&[(head.as_slice(), vocab, None)], hidden, dtype);
        Self {
            hidden,
            queries: options.num_attention_heads * options.head_dim,
            gates: text.gates.first().map_or(0, |gate| gate.out),
            intermediate: options.intermediate_size,
            head_dim: options.head_dim,
            rotated: options.num_attention_heads + options.num_key_value_heads,
            eps: options.rms_norm_eps as f32,
            embedding: (text.lm_head != text.embed_tokens).then(|| values(text.embed_tokens)),
            blocks,
            norm: values(text.norm),
            head,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let layer = |l: &Layer| l.qkv.bytes() + l.o.bytes() + l.gate_up.bytes() + l.down.bytes();
        let embedding = self
            .embedding
            .as_ref()
            .map_or(0, |e| e.len() * size_of::<f32>());
        self.blocks.iter().map(layer).sum::<usize>() + self.head.bytes() + embedding
    }

    /// Embeddings of `tokens`, `[tokens, hidden]`.
    pub(super) fn embed(&self, tokens: &[u32], rows: &mut [f32]) {
        for (row, &token) in rows.chunks_exact_mut(self.hidden).zip(tokens) {
            match &self.embedding {
                Some(table) => {
                    row.copy_from_slice(&table[token as usize * self.hidden..][..self.hidden])
                }
                None => self.head.weight_row(token as usize, row),
            }
        }
    }
}

/// Layers that read the same rows as one product.
fn pack(
    parts: &[&percept_weights::Linear],
    dtype: WeightDtype,
    values: &impl Fn(Id) -> Vec<f32>,
) -> Linear {
    let of = |layer: &&percept_weights::Linear| {
        (values(layer.weight), layer.out, layer.bias.map(values))
    };
    let weights: Vec<(Vec<f32>, usize, Option<Vec<f32>>)> = parts.iter().map(of).collect();
    let parts_of: Vec<_> = weights
        .iter()
        .map(|(weight, outputs, bias)| (weight.as_slice(), *outputs, bias.as_deref()))
        .collect();
    Linear::concat(&parts_of, parts[0].inp, dtype)
}
