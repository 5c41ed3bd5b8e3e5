//! What the decoder's queries see: the choice, and what the choice must know of the tokens.
//!
//! A checkpoint keeps it in its `config.json` under `percept`, which other programs pass over:
//! they run the same weights with full attention. An adapter keeps it in a file of its own,
//! `percept_config.json`, because PEFT warns of what it does not know in `adapter_config.json`.

use std::path::Path;

use percept_kernels::sparse::{AttentionConfig, Branches, Pattern};
use percept_weights::write_json;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::config::fields::Fields;

const KEY: &str = "percept";

/// In the folder of an adapter.
const FILE: &str = "percept_config.json";

/// A decoder's attention.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attention {
    config: AttentionConfig,
    /// Ascending; empty for attention that does not ask for them.
    punctuation: Vec<u32>,
    pattern: Option<Pattern>,
    branches: Option<Branches>,
}

impl Attention {
    /// `punctuation_token_ids` are read by PHSA alone; [`Processor::attention`](crate::Processor::attention) finds them.
    ///
    /// # Errors
    /// [`Error::Kernel`] when an option is out of its range.
    pub fn new(
        config: AttentionConfig,
        mut punctuation_token_ids: Vec<u32>,
    ) -> Result<Self, Error> {
        punctuation_token_ids.sort_unstable();
        Ok(Self {
            pattern: config.pattern()?,
            branches: config.branches()?,
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

    /// The branches of NSA; `None` for every other choice.
    pub(crate) fn branches(&self) -> Option<Branches> {
        self.branches
    }

    /// What the kernels need to know; `None` for full attention and NSA.
    pub(crate) fn pattern(&self) -> Option<Pattern> {
        self.pattern.filter(|_| self.branches.is_none())
    }

    /// Whether each token is punctuation.
    pub(crate) fn marks<'a>(&'a self, tokens: &'a [u32]) -> impl Iterator<Item = bool> + 'a {
        tokens
            .iter()
            .map(|token| self.punctuation.binary_search(token).is_ok())
    }

    /// Reads the choice of a `config.json`.
    pub(crate) fn from_fields(root: &Fields) -> Result<Self, Error> {
        match root.object(KEY)? {
            None => Ok(Self::default()),
            Some(own) => Self::from_own(&own),
        }
    }

    fn from_own(own: &Fields) -> Result<Self, Error> {
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

    fn own(&self) -> Value {
        let mut own = json!({ "attention": self.config });
        if self.config.punctuation().is_some() {
            own["punctuation_token_ids"] = json!(self.punctuation);
        }
        own
    }

    /// Puts the choice into the content of a `config.json`.
    pub(crate) fn write(&self, json: &mut Map<String, Value>) {
        json.remove(KEY);
        if !self.config.is_full() {
            json.insert(KEY.to_owned(), self.own());
        }
    }

    /// Writes the choice into the folder of an adapter; full attention too, for the base may have
    /// been trained with another.
    pub(crate) fn save(&self, dir: &Path) -> Result<(), Error> {
        Ok(write_json(&dir.join(FILE), &self.own())?)
    }

    /// The choice that an adapter was trained with; none where the folder does not say.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, Error> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let json = serde_json::from_slice(&bytes);
        let map: Map<String, Value> = json.map_err(Error::json(&path))?;
        let own = Fields {
            map: &map,
            path: String::new(),
            file: &path.display().to_string(),
        };
        Self::from_own(&own).map(Some)
    }
}
