//! Images by their pixels: which are the same.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use percept_data::Patches;

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
