//! `captions_*.json`: what people wrote about each image.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::SeqAccess;

use crate::Error;

use super::stream::{Sink, push, read, read_file};

#[derive(Debug, Deserialize)]
struct Caption {
    image_id: u64,
    caption: String,
}

#[derive(Debug, Default)]
struct Raw {
    captions: Vec<Caption>,
}

impl Sink for Raw {
    const LISTS: &'static [&'static str] = &["annotations"];

    fn take<'de, A: SeqAccess<'de>>(
        &mut self,
        _: &'static str,
        seq: &mut A,
    ) -> Result<bool, A::Error> {
        push(&mut self.captions, seq)
    }
}

/// A `captions_*.json`.
#[derive(Debug, Clone, Default)]
pub struct CocoCaptions {
    of_image: HashMap<u64, Vec<String>>,
}

impl CocoCaptions {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read or is no COCO captions file; the message names the element.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let mut raw = Raw::default();
        read_file(path.as_ref(), &mut raw)?;
        Ok(Self::of(raw))
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// As [`CocoCaptions::open`].
    pub fn read(text: impl Read) -> Result<Self, Error> {
        let mut raw = Raw::default();
        read(text, &mut raw)?;
        Ok(Self::of(raw))
    }

    fn of(raw: Raw) -> Self {
        let mut of_image: HashMap<u64, Vec<String>> = HashMap::new();
        for caption in raw.captions {
            let captions = of_image.entry(caption.image_id).or_default();
            captions.push(caption.caption);
        }
        Self { of_image }
    }

    /// The captions of an image, in the order of the file; none of an unknown one.
    pub fn captions(&self, image: u64) -> &[String] {
        self.of_image.get(&image).map_or(&[], Vec::as_slice)
    }

    /// The numbers of the images that have captions, ascending.
    pub fn images(&self) -> Vec<u64> {
        let mut images: Vec<u64> = self.of_image.keys().copied().collect();
        images.sort_unstable();
        images
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_stay_in_order() {
        let json = r#"{"annotations": [{"image_id": 2, "id": 1, "caption": "a"},
            {"image_id": 1, "id": 2, "caption": "b"}, {"image_id": 2, "id": 3, "caption": "c"}]}"#;
        let captions = CocoCaptions::read(json.as_bytes()).unwrap();
        assert_eq!(captions.captions(2), ["a", "c"]);
        assert_eq!(captions.images(), [1, 2]);
        assert!(captions.captions(3).is_empty());
    }

    #[test]
    fn a_file_of_instances_is_refused_by_element_and_field() {
        let json = r#"{"annotations": [{"image_id": 2, "id": 1, "bbox": []}]}"#;
        let error = CocoCaptions::read(json.as_bytes()).unwrap_err().to_string();
        assert!(
            error.contains("annotations[0]") && error.contains("`caption`"),
            "{error}"
        );
    }
}
