//! Attention of one pass over a packed axis.

use std::sync::Arc;

use percept_kernels::sparse::{Branches, Pattern};

use crate::Attention;

/// Which attention a pass computes, with what it must know of the tokens.
pub(crate) enum PassAttention {
    Full,
    Blocks {
        pattern: Pattern,
        /// `[tokens]`: whether each is punctuation.
        marks: Arc<[bool]>,
    },
    Nsa(Branches),
}

impl PassAttention {
    pub(crate) fn new(attention: &Attention, tokens: &[u32]) -> Self {
        match (attention.branches(), attention.pattern()) {
            (Some(branches), _) => Self::Nsa(branches),
            (None, Some(pattern)) => Self::Blocks {
                pattern,
                marks: attention.marks(tokens).collect(),
            },
            (None, None) => Self::Full,
        }
    }
}
