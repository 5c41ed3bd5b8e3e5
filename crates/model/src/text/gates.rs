//! The gates of NSA: parameters that come and go with the choice of attention.
//!
//! `model.layers.N.self_attn.g_proj.weight` `[3·heads, hidden]`, without bias, as fla names and
//! shapes it: rows head after head, each (compressed, selected, window). They start at zero, so
//! that σ(0) = ½ of each branch counts: a checkpoint of a dense model has none, and with small
//! random ones (fla's) every head would prefer a branch by chance.

use percept_kernels::sparse::nsa::GATES;

use crate::weights::layers::{Linear, Specs};
use crate::{Attention, Error, Model, Param, TextConfig};

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

impl Model {
    /// Changes what the decoder's queries see, here and in what is saved. NSA brings fresh gates
    /// where the model has none; every other choice drops them.
    ///
    /// # Errors
    /// [`Error::Lora`] when gates would come or go below adapters.
    pub fn set_attention(&mut self, attention: Attention) -> Result<(), Error> {
        let has = !self.text.gates.is_empty();
        let wants = attention.branches().is_some();
        if has != wants && self.lora.is_some() {
            let message = "the model already has adapters; choose the attention before them, \
                           because NSA has gates that others have not";
            return Err(Error::Lora {
                field: "target_modules",
                message: message.into(),
            });
        }
        self.config.attention = attention;
        match (has, wants) {
            (false, true) => self.add_gates(),
            (true, false) => self.remove_gates(),
            _ => {}
        }
        Ok(())
    }

    fn add_gates(&mut self) {
        let mut specs = Specs::default();
        let mut gates = gates(&self.config.text, &mut specs);
        gates
            .iter_mut()
            .for_each(|gate| gate.weight += self.params.len());
        self.linears.extend_from_slice(&gates);
        self.text.gates = gates;
        for spec in specs.params {
            let values = vec![0.0; spec.shape.iter().product()];
            let param = Param::new(spec.name, spec.shape, values, &self.device);
            self.params.push(param);
        }
    }

    /// Gates are the last parameters and the last linear layers of a model without adapters.
    fn remove_gates(&mut self) {
        let count = self.text.gates.len();
        self.params.truncate(self.params.len() - count);
        self.linears.truncate(self.linears.len() - count);
        self.text.gates.clear();
    }
}
