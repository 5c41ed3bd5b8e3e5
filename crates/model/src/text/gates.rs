//! The gates of NSA: parameters that come and go with the choice of attention.
//!
//! `model.layers.N.self_attn.g_proj.weight` `[3·heads, hidden]`, without bias, as fla names and
//! shapes it: rows head after head, each (compressed, selected, window). They start at zero, so
//! that σ(0) = ½ of each branch counts: a checkpoint of a dense model has none, and with small
//! random ones (fla's) every head would prefer a branch by chance.

use percept_kernels::sparse::nsa::GATES;
use percept_weights::{Linear, Specs};

use crate::TextConfig;

/// The gates of all layers.
pub(crate) fn gates(config: &TextConfig, specs: &mut Specs) -> Vec<Linear> {
    let outputs = GATES * config.num_attention_heads;
    (0..config.num_hidden_layers)
        .map(|layer| {
            let name = format!("model.layers.{layer}.self_attn.g_proj");
            specs.gate(&name, config.hidden_size, outputs)
        })
        .collect()
}
