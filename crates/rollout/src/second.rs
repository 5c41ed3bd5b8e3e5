//! The second model of a [`Sampler`](crate::Sampler).

use percept_model::{Decoder, Model, Processor};
use rayon::prelude::*;

use crate::Error;

/// A second model that is decoded in step with the first: it reads the first one's prompts with
/// its own embeddings and vision tower.
pub(crate) struct Second<'a> {
    pub model: &'a Model,
    pub decoder: Decoder,
}

impl<'a> Second<'a> {
    pub(crate) fn new(
        model: &'a Model,
        processor: &Processor,
        own: &Processor,
        vocab_size: usize,
    ) -> Result<Self, Error> {
        same_tokens(own, processor)?;
        same_images(own, processor)?;
        let decoder = Decoder::new(model)?;
        let known = own.vocab_size();
        if decoder.vocab_size() < known || vocab_size < known {
            return Err(Error::Pair {
                what: format!(
                    "the tokenizer has {known} tokens, the models {vocab_size} and {}",
                    decoder.vocab_size()
                ),
            });
        }
        Ok(Self { model, decoder })
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
    let (Some(a), Some(b)) = (ours.image_processor(), theirs.image_processor()) else {
        return Ok(());
    };
    let parts = [
        ("patch_size", a.patch_size == b.patch_size),
        (
            "temporal_patch_size",
            a.temporal_patch_size == b.temporal_patch_size,
        ),
        ("merge_size", a.merge_size == b.merge_size),
        ("image_mean", a.image_mean == b.image_mean),
        ("image_std", a.image_std == b.image_std),
    ];
    match parts.iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((field, _)) => Err(Error::Pair {
            what: format!("their image processors differ in {field}"),
        }),
    }
}
