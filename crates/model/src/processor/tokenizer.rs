//! The tokenizer of a model, with the tokens that its folder names besides.

use std::ops::Range;
use std::path::Path;

use percept_weights::write_json;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::Error;
use crate::processor::errors::bad;
use crate::processor::files::{ids, json_file, special};
use crate::processor::spans::{SpanMarkers, holds, places};
use crate::processor::{added_tokens, tokenizer_file};

/// A piece of a text, and whether it is trained.
pub(super) type Piece = (String, bool);

/// Text to token ids and back.
pub(crate) struct ModelTokenizer {
    tokenizer: Tokenizer,
    /// The content of tokenizer_config.json.
    config: Value,
    /// Tokens that end a response, ascending.
    pub(super) eos_ids: Vec<u32>,
}

impl ModelTokenizer {
    /// Reads tokenizer.json, tokenizer_config.json, added_tokens.json and special_tokens_map.json of `dir`; `config` and
    /// `generation` are the model's config.json and generation_config.json.
    pub(super) fn load(dir: &Path, config: &Value, generation: &Value) -> Result<Self, Error> {
        let path = dir.join("tokenizer.json");
        let mut tokenizer = tokenizer_file::read(&path)?;
        // Some files carry the settings of the run that wrote them; prompts are never cut or filled.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|e| bad(path.display(), e.to_string()))?;
        let own = json_file(&dir.join("tokenizer_config.json"))?.unwrap_or(json!({}));
        let text = config.get("text_config").unwrap_or(config);
        let rows = text["vocab_size"]
            .as_u64()
            .or(config["vocab_size"].as_u64());
        added_tokens::add(&mut tokenizer, dir, &own, rows)?;
        let mut eos_ids = ids(&generation["eos_token_id"]);
        if eos_ids.is_empty() {
            eos_ids = ids(&config["eos_token_id"]);
        }
        if eos_ids.is_empty() {
            eos_ids = ids(&config["text_config"]["eos_token_id"]);
        }
        let eos = special(&own, "eos_token").unwrap_or_default();
        eos_ids.extend(tokenizer.token_to_id(&eos));
        eos_ids.sort_unstable();
        eos_ids.dedup();
        Ok(Self {
            tokenizer,
            config: own,
            eos_ids,
        })
    }

    /// A tokenizer from the contents of tokenizer.json and tokenizer_config.json.
    pub(super) fn from_parts(tokenizer: &Value, config: Value) -> Result<Self, Error> {
        let text = tokenizer.to_string();
        let tokenizer =
            Tokenizer::from_bytes(text.as_bytes()).map_err(|e| bad("tokenizer", e.to_string()))?;
        let mut made = Self {
            tokenizer,
            config,
            eos_ids: Vec::new(),
        };
        let eos = special(&made.config, "eos_token").unwrap_or_default();
        made.eos_ids = vec![made.required_id(&eos)?];
        Ok(made)
    }

    /// Writes tokenizer.json and tokenizer_config.json.
    pub(super) fn save(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join("tokenizer.json");
        let text = self
            .tokenizer
            .to_string(false)
            .map_err(|e| bad(path.display(), e.to_string()))?;
        std::fs::write(&path, text).map_err(Error::io(&path))?;
        let path = dir.join("tokenizer_config.json");
        Ok(write_json(&path, &self.config)?)
    }

    /// The content of tokenizer_config.json.
    pub(super) fn config(&self) -> &Value {
        &self.config
    }

    /// The id of a token that must be there.
    pub(super) fn required_id(&self, token: &str) -> Result<u32, Error> {
        self.token_id(token)
            .ok_or_else(|| bad("tokenizer", format!("has no {token}")))
    }

    /// The texts of the tokens that end a response.
    pub(super) fn ends(&self) -> Vec<String> {
        let ends = self.eos_ids.iter();
        ends.filter_map(|&id| self.tokenizer.id_to_token(id))
            .collect()
    }

    /// Token ids in all, special ones included.
    pub(super) fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The id of a token by its text.
    pub(super) fn token_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Token ids of a text; special tokens in it are recognised, none are added.
    ///
    /// # Errors
    /// [`Error::Processor`] when the tokenizer cannot encode it.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding = self.tokenizer.encode_fast(text, false);
        Ok(encoding
            .map_err(|e| bad("tokenizer", e.to_string()))?
            .get_ids()
            .to_vec())
    }

    /// Token ids of a text that stands alone, with the tokens that the tokenizer puts around one (the
    /// first token of Llama).
    ///
    /// # Errors
    /// As [`ModelTokenizer::encode`].
    pub(super) fn encode_document(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding = self.tokenizer.encode_fast(text, true);
        Ok(encoding
            .map_err(|e| bad("tokenizer", e.to_string()))?
            .get_ids()
            .to_vec())
    }

    /// Tokens of the pieces of a text, each for itself, and whether each token is trained: as its piece is, unless it holds
    /// something of `masked`.
    ///
    /// # Errors
    /// As [`ModelTokenizer::encode`].
    pub(super) fn encode_pieces(
        &self,
        pieces: &[Piece],
        masked: &[SpanMarkers],
    ) -> Result<Vec<(u32, bool)>, Error> {
        let mut out = Vec::new();
        for (text, trained) in pieces {
            let places = match trained {
                true => places(masked, text),
                false => Vec::new(),
            };
            if places.is_empty() {
                let tokens = self.encode(text)?;
                out.extend(tokens.into_iter().map(|token| (token, *trained)));
                continue;
            }
            let encoding = self.tokenizer.encode(text.as_str(), false);
            let encoding = encoding.map_err(|e| bad("tokenizer", e.to_string()))?;
            let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
            out.extend(tokens.map(|(&token, &bytes)| (token, !holds(&places, bytes))));
        }
        Ok(out)
    }

    /// Tokens of the pieces as one text, with the tokens that the tokenizer puts around one unless the first of them is
    /// written already. A token is trained when the piece is in which it begins, unless it holds something of `masked`.
    ///
    /// # Errors
    /// As [`ModelTokenizer::encode`].
    pub(super) fn encode_whole(
        &self,
        pieces: &[Piece],
        masked: &[SpanMarkers],
    ) -> Result<Vec<(u32, bool)>, Error> {
        let masked = places_of_pieces(masked, pieces);
        let text: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
        let first = special(&self.config, "bos_token").unwrap_or_default();
        let around = first.is_empty() || !text.starts_with(&first);
        let encoding = self.tokenizer.encode(text, around);
        let encoding = encoding.map_err(|e| bad("tokenizer", e.to_string()))?;
        let tokens = encoding.get_ids().iter().zip(encoding.get_offsets());
        let (mut piece, mut end) = (0, pieces.first().map_or(0, |(text, _)| text.len()));
        let mut out = Vec::with_capacity(encoding.len());
        for (&token, &(start, last)) in tokens {
            while start >= end && piece + 1 < pieces.len() {
                piece += 1;
                end += pieces[piece].0.len();
            }
            let trained = pieces.get(piece).is_some_and(|(_, trained)| *trained);
            out.push((token, trained && !holds(&masked, (start, last))));
        }
        Ok(out)
    }

    /// Text of token ids, special tokens left out.
    pub(super) fn decode(&self, tokens: &[u32]) -> String {
        self.tokenizer.decode(tokens, true).unwrap_or_default()
    }

    /// Text of one token, special tokens by name.
    pub(super) fn token_text(&self, token: u32) -> String {
        self.tokenizer.decode(&[token], false).unwrap_or_default()
    }
}

/// Bytes of the whole text that are in one of the spans of a trained piece.
fn places_of_pieces(spans: &[SpanMarkers], pieces: &[Piece]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (text, trained) in pieces {
        if *trained {
            let own = places(spans, text).into_iter();
            found.extend(own.map(|place| start + place.start..start + place.end));
        }
        start += text.len();
    }
    found
}
