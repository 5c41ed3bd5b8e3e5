//! What the vision tower makes of the images of a call.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::images::Image;
use super::runner::{ModelRunner, PerModel};
use crate::Error;

/// Encodings that are kept for later prompts of a call, in bytes.
const KEPT: usize = 256 << 20;

/// Encoded images of one call, as long as a prompt that is not computed yet shows them.
#[derive(Default)]
pub(crate) struct Encodings {
    /// `[merged tokens × hidden]` of each model.
    encoded: HashMap<u64, PerModel<Vec<f32>>>,
    bytes: usize,
    /// Prompts of the call that show an image and are not computed yet.
    waiting: HashMap<u64, usize>,
}

impl Encodings {
    /// One more prompt will show these images.
    pub fn expect(&mut self, images: &[Arc<Image>]) {
        for image in images {
            *self.waiting.entry(image.id).or_default() += 1;
        }
    }

    /// Encodes those of `images` that are not there yet, each once; returns how many.
    pub fn encode(
        &mut self,
        images: &[Arc<Image>],
        models: &PerModel<&ModelRunner<'_>>,
    ) -> Result<usize, Error> {
        let mut open: Vec<&Arc<Image>> = images
            .iter()
            .filter(|image| !self.encoded.contains_key(&image.id))
            .collect();
        open.sort_unstable_by_key(|image| image.id);
        open.dedup_by_key(|image| image.id);
        let encode = |image: &&Arc<Image>| {
            let models = models.iter().map(|model| model.encode(image));
            models.collect::<Result<PerModel<Vec<f32>>, Error>>()
        };
        // One image alone may use all threads.
        let found = match open.as_slice() {
            [one] => vec![encode(one)?],
            all => all.par_iter().map(encode).collect::<Result<_, Error>>()?,
        };
        for (image, encoding) in open.iter().zip(found) {
            self.bytes += bytes(&encoding);
            self.encoded.insert(image.id, encoding);
        }
        Ok(open.len())
    }

    /// What the tower of a model made of an image.
    pub fn of(&self, image: &Image, model: usize) -> &[f32] {
        &self.encoded[&image.id][model]
    }

    /// A prompt that shows these images is computed: what no later one shows is dropped, and everything when it is too
    /// much.
    pub fn done(&mut self, images: &[Arc<Image>]) {
        for image in images {
            // A prompt that is computed again after a preemption was not expected.
            let left = self.waiting.get_mut(&image.id);
            let left = left.map_or(0, |left| {
                *left = left.saturating_sub(1);
                *left
            });
            if left == 0 {
                self.waiting.remove(&image.id);
                let dropped = self.encoded.remove(&image.id);
                self.bytes -= dropped.as_deref().map_or(0, bytes);
            }
        }
        if self.bytes > KEPT {
            self.encoded.clear();
            self.bytes = 0;
        }
    }
}

fn bytes(encoding: &[Vec<f32>]) -> usize {
    encoding
        .iter()
        .map(|rows| size_of_val(rows.as_slice()))
        .sum()
}
