//! Packed weights of a decoder, found by their Hugging Face names.

use crate::{Error, ModelConfig};
use percept_kernels::decode::{Linear, WeightDtype};
use percept_kernels::sparse::nsa::GATES;
use rayon::prelude::*;

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
    /// `values` gives the weight of a Hugging Face name, row-major.
    pub(super) fn new(
        config: &ModelConfig,
        dtype: WeightDtype,
        values: impl Fn(&str) -> Option<Vec<f32>> + Sync,
    ) -> Result<Self, Error> {
        let text = &config.text;
        let (hidden, dim) = (text.hidden_size, text.head_dim);
        let (queries, keys) = (
            text.num_attention_heads * dim,
            text.num_key_value_heads * dim,
        );
        let gates = match config.attention.branches() {
            Some(_) => GATES * text.num_attention_heads,
            None => 0,
        };
        let source = Source(&values);
        let layer = |index: usize| -> Result<Layer, Error> {
            let name = |part: &str| format!("model.layers.{index}.{part}");
            let norm = |part: &str, len: usize| source.get(&name(&format!("{part}.weight")), len);
            let pack = |parts: &[(&str, usize, bool)], inputs: usize| -> Result<Linear, Error> {
                let mut weights = Vec::new();
                for (part, outputs, bias) in parts {
                    let weight = source.get(&name(&format!("{part}.weight")), outputs * inputs)?;
                    let bias = match bias {
                        true => Some(source.get(&name(&format!("{part}.bias")), *outputs)?),
                        false => None,
                    };
                    weights.push((weight, *outputs, bias));
                }
                let parts: Vec<_> = weights
                    .iter()
                    .map(|(w, outputs, b)| (w.as_slice(), *outputs, b.as_deref()))
                    .collect();
                Ok(Linear::concat(&parts, inputs, dtype))
            };
            let inner = text.intermediate_size;
            let mut qkv = vec![
                ("self_attn.q_proj", queries, text.qkv_bias),
                ("self_attn.k_proj", keys, text.qkv_bias),
                ("self_attn.v_proj", keys, text.qkv_bias),
            ];
            if gates > 0 {
                qkv.push(("self_attn.g_proj", gates, false));
            }
            Ok(Layer {
                input_norm: norm("input_layernorm", hidden)?,
                qkv: pack(&qkv, hidden)?,
                qk_norm: match text.qk_norm {
                    true => Some((
                        norm("self_attn.q_norm", dim)?,
                        norm("self_attn.k_norm", dim)?,
                    )),
                    false => None,
                },
                o: pack(&[("self_attn.o_proj", hidden, text.o_bias)], queries)?,
                post_norm: norm("post_attention_layernorm", hidden)?,
                gate_up: pack(
                    &[
                        ("mlp.gate_proj", inner, false),
                        ("mlp.up_proj", inner, false),
                    ],
                    hidden,
                )?,
                down: pack(&[("mlp.down_proj", hidden, false)], inner)?,
            })
        };
        let blocks = (0..text.num_hidden_layers)
            .into_par_iter()
            .map(layer)
            .collect::<Result<_, Error>>()?;
        let embedding = source.get("model.embed_tokens.weight", text.vocab_size * hidden)?;
        let pack = |head: &[f32]| Linear::concat(&[(head, text.vocab_size, None)], hidden, dtype);
        let (embedding, head) = match config.tie_word_embeddings {
            true => (None, pack(&embedding)),
            false => {
                let head = source.get("lm_head.weight", text.vocab_size * hidden)?;
                (Some(embedding), pack(&head))
            }
        };
        Ok(Self {
            hidden,
            queries,
            gates,
            intermediate: text.intermediate_size,
            head_dim: dim,
            rotated: text.num_attention_heads + text.num_key_value_heads,
            eps: text.rms_norm_eps as f32,
            embedding,
            blocks,
            norm: source.get("model.norm.weight", hidden)?,
            head,
        })
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

struct Source<'a, F>(&'a F);

impl<F: Fn(&str) -> Option<Vec<f32>>> Source<'_, F> {
    fn get(&self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        let values = (self.0)(name)
            .ok_or_else(|| Error::batch("weights", format!("the model has no {name}")))?;
        if values.len() != len {
            let message = format!(
                "{name} has {} values, the configuration says {len}",
                values.len()
            );
            return Err(Error::batch("weights", message));
        }
        Ok(values)
    }
}
