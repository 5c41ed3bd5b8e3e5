//! Another choice of attention for a model.

use percept_weights::{Specs, lora_error};

use crate::text::gates::gates;
use crate::{Attention, Error, Model, Param};

impl Model {
    /// Changes what the decoder's queries see, here and in what is saved. NSA brings fresh gates
    /// where the model has none; every other choice drops them.
    ///
    /// # Errors
    /// [`Error::Weights`] when gates would come or go below adapters.
    pub fn set_attention(&mut self, attention: Attention) -> Result<(), Error> {
        let has = !self.text.gates.is_empty();
        let wants = attention.branches().is_some();
        if has != wants && self.lora.is_some() {
            let message = "the model already has adapters; choose the attention before them, \
                           because NSA has gates that others have not";
            return Err(lora_error("target_modules", message.into()).into());
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
