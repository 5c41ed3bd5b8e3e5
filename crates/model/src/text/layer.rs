//! The layers of the text tower, as trainer and decoder both read them.

use percept_weights::{Id, Init, Linear, Specs};

use crate::TextConfig;

/// One layer: which parameters it multiplies with. The trainer computes with them on a device, the sampler's decoder
/// packs them for the host.
#[derive(Debug, Clone)]
pub(crate) struct TextLayer {
    pub(crate) input_layernorm: Id,
    pub(crate) q_proj: Linear,
    pub(crate) k_proj: Linear,
    pub(crate) v_proj: Linear,
    pub(crate) o_proj: Linear,
    /// Norms of query and key heads (Qwen3).
    pub(crate) qk_norm: Option<(Id, Id)>,
    pub(crate) post_attention_layernorm: Id,
    pub(crate) gate_proj: Linear,
    pub(crate) up_proj: Linear,
    pub(crate) down_proj: Linear,
}

impl TextLayer {
    pub(crate) fn new(config: &TextConfig, index: usize, specs: &mut Specs) -> Self {
        let name = format!("model.layers.{index}");
        let attn = format!("{name}.self_attn");
        let (hidden, dim) = (config.hidden_size, config.head_dim);
        let (q, kv) = (
            config.num_attention_heads * dim,
            config.num_key_value_heads * dim,
        );
        let norm = |specs: &mut Specs, part: &str, size: usize| {
            specs.add(format!("{part}.weight"), &[size], Init::Ones)
        };
        Self {
            input_layernorm: norm(specs, &format!("{name}.input_layernorm"), hidden),
            q_proj: specs.linear(&format!("{attn}.q_proj"), hidden, q, config.qkv_bias),
            k_proj: specs.linear(&format!("{attn}.k_proj"), hidden, kv, config.qkv_bias),
            v_proj: specs.linear(&format!("{attn}.v_proj"), hidden, kv, config.qkv_bias),
            o_proj: specs.linear(&format!("{attn}.o_proj"), q, hidden, config.o_bias),
            qk_norm: config.qk_norm.then(|| {
                let q_norm = norm(specs, &format!("{attn}.q_norm"), dim);
                (q_norm, norm(specs, &format!("{attn}.k_norm"), dim))
            }),
            post_attention_layernorm: norm(
                specs,
                &format!("{name}.post_attention_layernorm"),
                hidden,
            ),
            gate_proj: specs.linear(
                &format!("{name}.mlp.gate_proj"),
                hidden,
                config.intermediate_size,
                false,
            ),
            up_proj: specs.linear(
                &format!("{name}.mlp.up_proj"),
                hidden,
                config.intermediate_size,
                false,
            ),
            down_proj: specs.linear(
                &format!("{name}.mlp.down_proj"),
                config.intermediate_size,
                hidden,
                false,
            ),
        }
    }
}
