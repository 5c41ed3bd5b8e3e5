//! Whether a loss reaches every trainable tensor: one without a gradient is a wiring error.

use percept_model::{Model, ParamGrads, is_vision_param};

use crate::Error;

/// Names that an error shows.
const SHOWN: usize = 5;

/// Looks at the gradients of the first step; for the vision tower, of the first step with an image.
#[derive(Debug, Default)]
pub(super) struct Reached {
    checked: bool,
    saw_images: bool,
}

impl Reached {
    /// A pass with images or without.
    pub(super) fn see(&mut self, images: bool) {
        self.saw_images |= images;
    }

    /// Refuses a step that leaves tensors without a gradient.
    pub(super) fn check(&mut self, model: &Model, grads: &ParamGrads) -> Result<(), Error> {
        if self.checked {
            return Ok(());
        }
        let vision = self.saw_images;
        self.checked = vision || model.config().vision.is_none();
        let missing: Vec<&str> = model
            .parameters()
            .iter()
            .zip(grads.iter())
            .filter(|(param, grad)| param.trainable() && grad.is_none())
            .filter(|(param, _)| vision || !is_vision_param(param.name()))
            .map(|(param, _)| param.name())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let shown = missing[..missing.len().min(SHOWN)].join(", ");
        let names = match missing.len().saturating_sub(SHOWN) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        };
        Err(Error::NoGradient { names })
    }
}
