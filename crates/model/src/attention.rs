//! What the decoder's queries see: the choice, and what the choice must know of the tokens.
//!
//! A checkpoint keeps it in its `config.json` under `percept`, which other programs pass over:
//! they run the same weights with full attention.

use std::sync::Arc;

use percept_nn::sparse::{AttentionConfig, Pattern};
use serde_json::{Map, Value, json};

use crate::config_fields::Fields;
use crate::{Error, Processor};

const KEY: &str = "percept";

/// A decoder's attention.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attention {
    config: AttentionConfig,
    /// Ascending; empty for attention that does not ask for them.
    punctuation: Vec<u32>,
    pattern: Option<Pattern>,
}

impl Attention {
    /// `punctuation_token_ids` are read by PHSA alone; [`Processor::attention`] finds them.
    ///
    /// # Errors
    /// [`Error::Nn`] when an option is out of its range.
    pub fn new(
        config: AttentionConfig,
        mut punctuation_token_ids: Vec<u32>,
    ) -> Result<Self, Error> {
        punctuation_token_ids.sort_unstable();
        Ok(Self {
            pattern: config.pattern()?,
            config,
            punctuation: punctuation_token_ids,
        })
    }

    /// The choice and its options.
    pub fn config(&self) -> &AttentionConfig {
        &self.config
    }

    /// Token ids that are punctuation, ascending.
    pub fn punctuation_token_ids(&self) -> &[u32] {
        &self.punctuation
    }

    /// The same with `k` chosen blocks.
    ///
    /// # Errors
    /// As [`Attention::new`].
    pub fn with_top_k(self, k: usize) -> Result<Self, Error> {
        Self::new(self.config.with_top_k(k), self.punctuation)
    }

    /// What the kernels need to know; `None` for full attention.
    pub(crate) fn pattern(&self) -> Option<Pattern> {
        self.pattern
    }

    /// Whether each token is punctuation.
    pub(crate) fn marks<'a>(&'a self, tokens: &'a [u32]) -> impl Iterator<Item = bool> + 'a {
        tokens
            .iter()
            .map(|token| self.punctuation.binary_search(token).is_ok())
    }

    /// Reads the choice of a `config.json`.
    pub(crate) fn from_fields(root: &Fields) -> Result<Self, Error> {
        let Some(own) = root.object(KEY)? else {
            return Ok(Self::default());
        };
        let config = match own.map.get("attention") {
            None | Some(Value::Null) => AttentionConfig::Full,
            Some(value) => serde_json::from_value(value.clone())
                .map_err(|e| own.error("attention", e.to_string()))?,
        };
        Self::new(
            config,
            own.ids("punctuation_token_ids")?.unwrap_or_default(),
        )
    }

    /// Puts the choice into the content of a `config.json`.
    pub(crate) fn write(&self, json: &mut Map<String, Value>) {
        json.remove(KEY);
        if self.config.is_full() {
            return;
        }
        let mut own = json!({ "attention": self.config });
        if self.config.punctuation().is_some() {
            own["punctuation_token_ids"] = json!(self.punctuation);
        }
        json.insert(KEY.to_owned(), own);
    }
}

/// What one pass over a packed axis needs to know.
pub(crate) struct Sparse {
    pub(crate) pattern: Pattern,
    /// `[tokens]`: whether each is punctuation.
    pub(crate) marks: Arc<[bool]>,
}

impl Sparse {
    /// `None` for full attention.
    pub(crate) fn new(attention: &Attention, tokens: &[u32]) -> Option<Self> {
        Some(Self {
            pattern: attention.pattern()?,
            marks: attention.marks(tokens).collect(),
        })
    }
}

impl Processor {
    /// The attention for this tokenizer: with the ids of its punctuation where the choice asks for
    /// them. A token is punctuation by its decoded text; special tokens never are.
    ///
    /// # Errors
    /// As [`Attention::new`].
    pub fn attention(&self, config: AttentionConfig) -> Result<Attention, Error> {
        let ids = match config.punctuation() {
            None => Vec::new(),
            Some(set) => (0..self.vocab_size() as u32)
                .filter(|&id| set.covers(&self.decode(&[id])))
                .collect(),
        };
        Attention::new(config, ids)
    }
}
