//! The pictures of a page: each once, as a data URL.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percept_data::media_type;

/// Pictures of the items of a page.
#[derive(Default)]
pub(super) struct Images {
    index: HashMap<Arc<[u8]>, Option<usize>>,
    /// Data URLs, in the order in which items first show them.
    pub sources: Vec<String>,
    left: usize,
}

impl Images {
    /// None yet; all together they may take `bytes`, before base64.
    pub(super) fn within(bytes: usize) -> Self {
        Self {
            left: bytes,
            ..Self::default()
        }
    }

    /// Where a picture stands among the sources; none for one beyond the budget, or of no format that browsers show.
    pub(super) fn add(&mut self, image: &Arc<[u8]>) -> Option<usize> {
        if let Some(index) = self.index.get(image) {
            return *index;
        }
        let kind = media_type(image).filter(|_| image.len() <= self.left);
        let index = kind.map(|kind| {
            self.left -= image.len();
            self.sources
                .push(format!("data:{kind};base64,{}", STANDARD.encode(image)));
            self.sources.len() - 1
        });
        self.index.insert(image.clone(), index);
        index
    }
}
