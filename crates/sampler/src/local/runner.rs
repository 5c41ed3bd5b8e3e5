//! A model with its decoder: the sampler's own, and the second one that may be decoded in step with it.

use std::sync::Arc;

use percept_model::{Decoder, Model, Past, Prefix, Processor, Prompt};
use rayon::prelude::*;

use super::images::Image;
use crate::Error;

/// One for the sampler's own model, then one for the second where there is one.
pub(crate) type PerModel<T> = Vec<T>;

/// A model and a snapshot of its text decoder.
pub(crate) struct ModelRunner<'a> {
    pub model: &'a Model,
    pub decoder: Decoder,
}

impl<'a> ModelRunner<'a> {
    pub fn new(model: &'a Model) -> Result<Self, Error> {
        Ok(Self {
            model,
            decoder: Decoder::new(model)?,
        })
    }

    /// A second model that is decoded in step with the first: it reads the first one's prompts with its own
    /// embeddings and vision tower.
    pub fn second(
        model: &'a Model,
        processor: &Processor,
        own: &Processor,
        vocab_size: usize,
    ) -> Result<Self, Error> {
        same_tokens(own, processor)?;
        same_images(own, processor)?;
        let runner = Self::new(model)?;
        let (known, theirs) = (own.vocab_size(), runner.decoder.vocab_size());
        if theirs < known || vocab_size < known {
            return Err(Error::Pair {
                what: format!(
                    "the tokenizer has {known} tokens, the models {vocab_size} and {theirs}"
                ),
            });
        }
        Ok(runner)
    }

    /// Merged embeddings of an image, `[merged tokens × hidden]`.
    pub fn encode(&self, image: &Image) -> Result<Vec<f32>, Error> {
        Ok(self.model.encode_image(&image.patches)?)
    }

    /// Computes what `start` leaves of a prompt. `images` are the prompt's; all that is not in `start` is encoded.
    pub fn prefill<'e>(
        &self,
        prompt: &Prompt,
        start: Past,
        images: &[Arc<Image>],
        encoded: impl Fn(&Image) -> &'e [f32],
    ) -> Result<Arc<Prefix>, Error> {
        let (first, width) = (start.tokens(), self.decoder.hidden_size());
        let mut rows = self.decoder.embed(&prompt.tokens[first..]);
        for ((_, places), image) in self.model.vision_rows(prompt)?.iter().zip(images) {
            let known = places.partition_point(|&row| (row as usize) < first);
            if known == places.len() {
                continue;
            }
            let values = encoded(image)[known * width..].chunks_exact(width);
            for (&row, values) in places[known..].iter().zip(values) {
                rows[(row as usize - first) * width..][..width].copy_from_slice(values);
            }
        }
        let rows = (rows, &prompt.tokens[first..], &prompt.positions[first..]);
        Ok(self
            .decoder
            .prefill_after(start, rows, prompt.next_position))
    }
}

/// Both read and write the same tokens under the same ids.
fn same_tokens(ours: &Processor, theirs: &Processor) -> Result<(), Error> {
    let (count, other) = (ours.vocab_size(), theirs.vocab_size());
    if count != other {
        return Err(Error::Pair {
            what: format!("their tokenizers have {count} and {other} tokens"),
        });
    }
    let differs = (0..count as u32)
        .into_par_iter()
        .find_first(|&id| ours.token_text(id) != theirs.token_text(id));
    if let Some(id) = differs {
        let (a, b) = (ours.token_text(id), theirs.token_text(id));
        return Err(Error::Pair {
            what: format!("token {id} is {a:?} in one tokenizer and {b:?} in the other"),
        });
    }
    Ok(())
}

/// The prompt's patches and placeholders mean the same to both.
fn same_images(ours: &Processor, theirs: &Processor) -> Result<(), Error> {
    if ours.vision_tokens() != theirs.vision_tokens() {
        return Err(Error::Pair {
            what: "one reads images with other placeholder tokens, or reads none".into(),
        });
    }
    let (a, b) = (ours.image_geometry(), theirs.image_geometry());
    match a.iter().zip(&b).find(|(a, b)| a != b) {
        None => Ok(()),
        Some(((field, _), _)) => Err(Error::Pair {
            what: format!("their image processors differ in {field}"),
        }),
    }
}
