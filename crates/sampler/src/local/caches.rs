//! What stays from call to call.

use super::images::Images;
use super::prefix_cache::PrefixCache;

/// What stays from call to call.
#[derive(Default)]
pub(crate) struct Caches {
    pub cache: PrefixCache,
    pub images: Images,
    models: usize,
}

impl Caches {
    /// Prompts of one model are no prompts of two.
    pub fn is_for(&mut self, models: usize) {
        if std::mem::replace(&mut self.models, models) != models {
            self.cache = PrefixCache::default();
        }
    }
}
