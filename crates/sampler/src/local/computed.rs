//! A computed prompt.

use std::sync::Arc;

use percept_model::Prefix;

use super::prefix_cache::Pin;
use super::runner::PerModel;

/// A computed prompt.
#[derive(Clone)]
pub(crate) struct ComputedPrompt {
    pub prefixes: PerModel<Arc<Prefix>>,
    pub pin: Pin,
}
