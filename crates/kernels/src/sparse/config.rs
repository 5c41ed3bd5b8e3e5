//! The choice of attention and its options.

use std::fmt;

use schemars::{JsonSchema, Schema};
use serde::de::value::{MapAccessDeserializer, MapDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::nsa::{Branches, Nsa};
use super::pattern::{BLOCK_SIZE, Keys, Pattern, is_block_size};
use crate::decode::kv::BLOCK;
use crate::error::Error;

/// What a query of a decoder attends to. Written as a name (`"phsa"`) or as a table with options
/// (`{ name = "phsa", top_k = 4 }`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
#[serde(tag = "name", rename_all = "lowercase")]
#[schemars(transform = or_name)]
pub enum AttentionConfig {
    /// Every earlier token.
    #[default]
    Full,
    /// The first tokens and a window (arXiv 2309.17453).
    Sliding(Sliding),
    /// Blocks chosen by keys that blend a block's mean with its punctuation (arXiv 2601.02819).
    Phsa(Phsa),
    /// Blocks chosen by the soft-max over overlapping means (arXiv 2509.24663).
    InfLlm2(InfLlm2),
    /// Blocks chosen per head by their mean key (arXiv 2502.13189).
    Moba(Moba),
    /// Means of blocks, chosen blocks and a window, mixed by trained gates (arXiv 2502.11089).
    Nsa(Nsa),
}

/// Initial tokens and a window, both in whole blocks of sixteen tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sliding {
    /// Tokens at the start that are always seen (16; the paper's sink is 4, one block is the least
    /// here).
    pub init: usize,
    /// Tokens before the query's block that are seen (512, the local window of PHSA's long runs).
    pub window: usize,
}

impl Default for Sliding {
    fn default() -> Self {
        Self {
            init: 16,
            window: 512,
        }
    }
}

/// Options of PHSA; defaults are those of its 32k runs with the K that trains best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Phsa {
    /// Tokens of a block (16).
    pub block_size: usize,
    /// Tokens at the start that are always seen (128; 16 in the paper's 4k runs).
    pub init: usize,
    /// Tokens before the query's block that are always seen (512; 128 in the 4k runs).
    pub local: usize,
    /// Blocks chosen beside those (2).
    pub top_k: usize,
    /// Weight of the mean key; the rest is the mean of the punctuation's keys (0.5).
    pub lambda: f32,
    /// Which tokens are punctuation (`en`).
    pub punctuation: Punctuation,
    /// Choose in two steps: sixteen neighbouring blocks at a time by the mean of their keys, so many of these groups
    /// (the paper has none), then blocks within them. 0: look at every block, which is exact. At 32k tokens looking
    /// costs more than attending.
    pub coarse_top_k: usize,
}

impl Default for Phsa {
    fn default() -> Self {
        Self {
            block_size: 16,
            init: 128,
            local: 512,
            top_k: 2,
            lambda: 0.5,
            punctuation: Punctuation::En,
            coarse_top_k: 0,
        }
    }
}

/// Which tokens PHSA takes for punctuation. The paper names the two sets and lists neither; these
/// are our reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Punctuation {
    /// ASCII punctuation.
    #[serde(rename = "en")]
    En,
    /// And Chinese, full-width and typographic marks.
    #[serde(rename = "en+zh")]
    EnZh,
}

impl Punctuation {
    /// Whether a token of this text is punctuation: something besides white space, and all of it
    /// marks.
    pub fn covers(self, text: &str) -> bool {
        let text = text.trim();
        let zh = self == Self::EnZh;
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_punctuation() || zh && is_cjk_mark(c))
    }
}

/// Punctuation of U+3000–303F and U+FF00–FFEF, and the quotes, dash and ellipsis of Chinese text.
fn is_cjk_mark(c: char) -> bool {
    matches!(c,
        '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}'
        | '\u{3030}' | '\u{303d}'
        | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}'
        | '\u{ff5b}'..='\u{ff65}'
        | '\u{2014}' | '\u{2018}'..='\u{201d}' | '\u{2026}')
}

/// Options of InfLLM-V2; defaults of MiniCPM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InfLlm2 {
    /// Tokens of a semantic kernel, whose mean key is scored (32).
    pub kernel: usize,
    /// Tokens from one kernel to the next (16).
    pub stride: usize,
    /// Tokens of a block (64).
    pub block_size: usize,
    /// Blocks at the start that are always seen (1).
    pub init_blocks: usize,
    /// Tokens before the query's block that are always seen (2048).
    pub window: usize,
    /// Blocks chosen beside those (63: the paper counts 96 = 1 + 63 + 32).
    pub top_k: usize,
}

impl Default for InfLlm2 {
    fn default() -> Self {
        Self {
            kernel: 32,
            stride: 16,
            block_size: 64,
            init_blocks: 1,
            window: 2048,
            top_k: 63,
        }
    }
}

/// Options of MoBA; defaults of its scaling runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Moba {
    /// Tokens of a block (512).
    pub block_size: usize,
    /// Blocks seen, the query's own included (3).
    pub top_k: usize,
}

impl Default for Moba {
    fn default() -> Self {
        Self {
            block_size: 512,
            top_k: 3,
        }
    }
}

impl AttentionConfig {
    /// The names that a recipe or a checkpoint may use.
    pub const NAMES: [&'static str; 6] = ["full", "sliding", "phsa", "infllm2", "moba", "nsa"];

    /// The name of this choice.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Sliding(_) => "sliding",
            Self::Phsa(_) => "phsa",
            Self::InfLlm2(_) => "infllm2",
            Self::Moba(_) => "moba",
            Self::Nsa(_) => "nsa",
        }
    }

    /// The set of tokens whose keys count apart; `None` for choices without one.
    pub fn punctuation(&self) -> Option<Punctuation> {
        match self {
            Self::Phsa(o) => Some(o.punctuation),
            _ => None,
        }
    }

    /// Blocks that are chosen; `None` for choices that choose none.
    pub fn top_k(&self) -> Option<usize> {
        match self {
            Self::Full | Self::Sliding(_) => None,
            Self::Phsa(Phsa { top_k, .. })
            | Self::InfLlm2(InfLlm2 { top_k, .. })
            | Self::Moba(Moba { top_k, .. })
            | Self::Nsa(Nsa { top_k, .. }) => Some(*top_k),
        }
    }

    /// The same choice with `k` blocks; full attention and a sliding window stay as they are.
    pub fn with_top_k(mut self, k: usize) -> Self {
        match &mut self {
            Self::Full | Self::Sliding(_) => {}
            Self::Phsa(Phsa { top_k, .. })
            | Self::InfLlm2(InfLlm2 { top_k, .. })
            | Self::Moba(Moba { top_k, .. })
            | Self::Nsa(Nsa { top_k, .. }) => *top_k = k,
        }
        self
    }

    /// Whether every earlier token is seen.
    pub fn is_full(&self) -> bool {
        *self == Self::Full
    }

    /// The branches of NSA; `None` for all other choices.
    ///
    /// # Errors
    /// As [`AttentionConfig::pattern`].
    pub fn branches(&self) -> Result<Option<Branches>, Error> {
        match self {
            Self::Nsa(o) => o.branches().map(Some),
            _ => Ok(None),
        }
    }

    /// What the kernels need to know, of NSA's selected branch; `None` for full attention.
    ///
    /// # Errors
    /// [`Error::Sparse`] when an option is out of its range.
    pub fn pattern(&self) -> Result<Option<Pattern>, Error> {
        let pattern = match self {
            Self::Full => return Ok(None),
            Self::Sliding(o) => Pattern {
                block: BLOCK,
                init: o.init.div_ceil(BLOCK),
                local: o.window.div_ceil(BLOCK),
                top_k: 0,
                coarse: 0,
                keys: Keys::None,
            },
            Self::Phsa(o) => {
                self.check_block("block_size", o.block_size)?;
                if !(0.0..=1.0).contains(&o.lambda) {
                    let found = o.lambda.to_string();
                    return Err(self.error("lambda", found, "a number from 0 to 1"));
                }
                // The first and the last group may have few candidates.
                if o.coarse_top_k > 0 && o.coarse_top_k < 2 + o.top_k.div_ceil(BLOCK) {
                    let found = o.coarse_top_k.to_string();
                    let expected = "0, or at least 2 + top_k / 16 (rounded up)";
                    return Err(self.error("coarse_top_k", found, expected));
                }
                Pattern {
                    block: o.block_size,
                    init: o.init.div_ceil(o.block_size),
                    local: o.local.div_ceil(o.block_size),
                    top_k: o.top_k,
                    coarse: o.coarse_top_k,
                    keys: Keys::Fused { lambda: o.lambda },
                }
            }
            Self::InfLlm2(o) => {
                self.check_block("block_size", o.block_size)?;
                if o.stride == 0 || !o.block_size.is_multiple_of(o.stride) {
                    let found = o.stride.to_string();
                    return Err(self.error("stride", found, "a divisor of block_size"));
                }
                if o.kernel == 0 {
                    return Err(self.error("kernel", "0".into(), "at least 1"));
                }
                Pattern {
                    block: o.block_size,
                    init: o.init_blocks,
                    local: o.window.div_ceil(o.block_size),
                    top_k: o.top_k,
                    coarse: 0,
                    keys: Keys::Kernels {
                        len: o.kernel,
                        stride: o.stride,
                    },
                }
            }
            Self::Moba(o) => {
                self.check_block("block_size", o.block_size)?;
                if o.top_k == 0 {
                    return Err(self.error("top_k", "0".into(), "at least 1, the query's block"));
                }
                Pattern {
                    block: o.block_size,
                    init: 0,
                    local: 0,
                    top_k: o.top_k - 1,
                    coarse: 0,
                    keys: Keys::PerHead,
                }
            }
            Self::Nsa(o) => o.branches()?.selected,
        };
        Ok(Some(pattern.bounded()))
    }

    fn check_block(&self, option: &'static str, found: usize) -> Result<(), Error> {
        match is_block_size(found) {
            true => Ok(()),
            false => Err(self.error(option, found.to_string(), BLOCK_SIZE)),
        }
    }

    fn error(&self, option: &'static str, found: String, expected: &'static str) -> Error {
        Error::Sparse {
            name: self.name(),
            option,
            found,
            expected,
        }
    }
}

impl<'de> Deserialize<'de> for AttentionConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(tag = "name", rename_all = "lowercase")]
        enum Table {
            Full,
            Sliding(Sliding),
            Phsa(Phsa),
            InfLlm2(InfLlm2),
            Moba(Moba),
            Nsa(Nsa),
        }
        struct NameOrTable;
        impl<'de> Visitor<'de> for NameOrTable {
            type Value = Table;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                let names = AttentionConfig::NAMES.join(", ");
                write!(f, "one of {names}, or a table {{ name = …, options }}")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Table, E> {
                if !AttentionConfig::NAMES.contains(&name) {
                    return Err(E::unknown_variant(name, &AttentionConfig::NAMES));
                }
                let entry = std::iter::once(("name", StrDeserializer::<E>::new(name)));
                Table::deserialize(MapDeserializer::new(entry))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Table, A::Error> {
                Table::deserialize(MapAccessDeserializer::new(map))
            }
        }
        let config = match deserializer.deserialize_any(NameOrTable)? {
            Table::Full => Self::Full,
            Table::Sliding(o) => Self::Sliding(o),
            Table::Phsa(o) => Self::Phsa(o),
            Table::InfLlm2(o) => Self::InfLlm2(o),
            Table::Moba(o) => Self::Moba(o),
            Table::Nsa(o) => Self::Nsa(o),
        };
        config.pattern().map_err(D::Error::custom)?;
        Ok(config)
    }
}

/// The schema also allows a bare name.
fn or_name(schema: &mut Schema) {
    if let Some(tables) = schema.remove("oneOf") {
        let names: Vec<serde_json::Value> = AttentionConfig::NAMES.map(Into::into).to_vec();
        let either = [
            serde_json::json!({ "type": "string", "enum": names }),
            serde_json::json!({ "oneOf": tables }),
        ];
        schema.insert("anyOf".to_owned(), either.to_vec().into());
    }
}
