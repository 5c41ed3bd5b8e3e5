//! Images by their pixels: which are the same, and what the vision tower makes of each.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use percept_data::Patches;
use rayon::prelude::*;

use super::runner::{ModelRunner, PerModel};
use crate::Error;

/// Encodings that are kept for later prompts of a call, in bytes.
const KEPT: usize = 256 << 20;

/// An image; the same pixels have the same `id` as long as somebody holds it.
#[derive(Debug)]
pub(crate) struct Image {
    pub id: u64,
    pub patches: Arc<Patches>,
}

impl Image {
    /// Memory of its pixels.
    pub fn bytes(&self) -> usize {
        size_of_val(self.patches.pixels.as_slice())
    }
}

/// The images that somebody holds, by a few of their values.
#[derive(Default)]
pub(crate) struct Images {
    known: HashMap<u64, Vec<Weak<Image>>>,
    next: u64,
}

impl Images {
    /// The image of these patches.
    pub fn of(&mut self, patches: &Arc<Patches>) -> Arc<Image> {
        let hash = hash(patches);
        let alike = self.known.entry(hash).or_default();
        alike.retain(|image| image.strong_count() > 0);
        let same = |image: &Arc<Image>| image.patches.same_picture(patches);
        if let Some(image) = alike.iter().filter_map(Weak::upgrade).find(same) {
            return image;
        }
        let image = self.alone(patches);
        let alike = self.known.entry(hash).or_default();
        alike.push(Arc::downgrade(&image));
        image
    }

    /// An image that is like no other.
    pub fn alone(&mut self, patches: &Arc<Patches>) -> Arc<Image> {
        self.next += 1;
        Arc::new(Image {
            id: self.next,
            patches: Arc::clone(patches),
        })
    }

    /// Forgets what nobody holds any more.
    pub fn sweep(&mut self) {
        self.known.retain(|_, alike| {
            alike.retain(|image| image.strong_count() > 0);
            !alike.is_empty()
        });
    }
}

/// A hash of the grid and of values spread over the image; it only has to be equal for equal images.
fn hash(patches: &Patches) -> u64 {
    let mut hasher = DefaultHasher::new();
    patches.grid_thw.hash(&mut hasher);
    for value in patches.glance() {
        // -0 is 0.
        (value + 0.0).to_bits().hash(&mut hasher);
    }
    hasher.finish()
}

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
        sides: &PerModel<&ModelRunner<'_>>,
    ) -> Result<usize, Error> {
        let mut open: Vec<&Arc<Image>> = images
            .iter()
            .filter(|image| !self.encoded.contains_key(&image.id))
            .collect();
        open.sort_unstable_by_key(|image| image.id);
        open.dedup_by_key(|image| image.id);
        let encode = |image: &&Arc<Image>| {
            let sides = sides.iter().map(|side| side.encode(image));
            sides.collect::<Result<PerModel<Vec<f32>>, Error>>()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn patches(seed: usize) -> Arc<Patches> {
        Arc::new(Patches {
            grid_thw: [1, 2, 2],
            pixels: (0..1200).map(|i| ((i * seed) % 17) as f32).collect(),
        })
    }

    #[test]
    fn an_image_is_its_pixels() {
        let mut images = Images::default();
        let first = images.of(&patches(3));
        assert_eq!(images.of(&patches(3)).id, first.id);
        assert_ne!(images.of(&patches(4)).id, first.id);
        // One value that the glance does not see.
        let mut other = (*patches(3)).clone();
        other.pixels[1] += 1.0;
        let other = images.of(&Arc::new(other));
        assert_ne!(other.id, first.id);
        assert_eq!(images.known.len(), 2);
        drop((first, other));
        images.sweep();
        assert!(images.known.is_empty());
    }
}
