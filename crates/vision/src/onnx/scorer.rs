//! How well a text describes a picture, by CLIP.

use std::path::Path;

use percept_data::ClipImageProcessor;
use serde_json::{Value, json};
use tokenizers::{Tokenizer, TruncationParams};

use super::OnnxRuntime;
use super::model::{Array, Input, Model};
use crate::Error;
use crate::tools::{TextImageScorer, View};

/// Side of a picture where the file leaves it open.
const SIDE: u32 = 224;
/// Tokens of a text, its first and last included: CLIP has no more positions. Longer texts are cut.
const LONGEST: usize = 77;

const PIXELS: &str = "pixel_values";
const TOKENS: &str = "input_ids";
const MASK: &str = "attention_mask";
const SCORES: &str = "logits_per_image";

/// CLIP as Optimum exports it: `input_ids [T, L]`, `pixel_values [1, 3, S, S]`, `attention_mask [T, L]` (some exports lack it) →
/// `logits_per_image [1, T]`, 100 times the cosine for the published weights.
pub struct OnnxScorer {
    model: Model,
    sha256: [String; 2],
    tokenizer: Tokenizer,
    /// What fills texts that are shorter than the longest of a call.
    padding: i64,
    images: ClipImageProcessor,
    side: u32,
    /// Tokens of every text, where the file fixes them.
    tokens: Option<usize>,
}

impl OnnxScorer {
    /// Reads a model and its `tokenizer.json`, whose SHA-256 these are.
    ///
    /// # Errors
    /// [`Error::Onnx`] for files that are none, and for a model without the inputs of CLIP.
    pub fn open(
        runtime: &OnnxRuntime,
        path: &Path,
        tokenizer: &Path,
        sha256: [String; 2],
    ) -> Result<Self, Error> {
        let model = Model::open(runtime, path)?;
        let inputs = model.inputs();
        let place = |name: &str| inputs.iter().position(|input| input == name);
        let (Some(pixels), Some(tokens)) = (place(PIXELS), place(TOKENS)) else {
            return Err(model.error(format!(
                "the model reads {}; expected {TOKENS} and {PIXELS} of a whole CLIP in one file",
                inputs.join(", ")
            )));
        };
        let side = match model.size(pixels) {
            None => SIDE,
            Some((height, width)) if height == width => height,
            Some((height, width)) => {
                return Err(model.error(format!(
                    "{PIXELS} are {width} × {height}; expected a square"
                )));
            }
        };
        let fixed = |shape: Vec<i64>| usize::try_from(*shape.get(1)?).ok();
        let tokens = model
            .shape(tokens)
            .and_then(fixed)
            .filter(|&fixed| fixed > 2);
        let unread = |what: String| Error::Onnx {
            path: tokenizer.to_owned(),
            what: format!("{what}\n  help: expected the model's tokenizer.json"),
        };
        let mut tokenizer =
            Tokenizer::from_file(tokenizer).map_err(|error| unread(error.to_string()))?;
        let cut = TruncationParams {
            max_length: tokens.unwrap_or(LONGEST),
            ..TruncationParams::default()
        };
        tokenizer
            .with_truncation(Some(cut))
            .map_err(|error| unread(error.to_string()))?;
        let own = tokenizer.get_padding().map(|padding| padding.pad_id);
        let padding = own.or_else(|| tokenizer.token_to_id("<|endoftext|>"));
        tokenizer.with_padding(None);
        // Its steps are those of CLIP's preprocessor_config.json, sides apart.
        let config = json!({
            "size": {"shortest_edge": side},
            "crop_size": {"height": side, "width": side},
        });
        Ok(Self {
            images: ClipImageProcessor::from_json(&config)?,
            model,
            sha256,
            tokenizer,
            padding: i64::from(padding.unwrap_or_default()),
            side,
            tokens,
        })
    }

    /// Tokens of the texts and which of them are no padding, `[texts, longest]` each.
    fn tokens(&self, texts: &[&str]) -> Result<[Input; 2], Error> {
        let encode = |text: &&str| {
            let encoded = self.tokenizer.encode(*text, true);
            let encoded = encoded.map_err(|error| self.model.error(error.to_string()))?;
            Ok(encoded.get_ids().to_vec())
        };
        let all: Vec<Vec<u32>> = texts.iter().map(encode).collect::<Result<_, Error>>()?;
        let longest = all.iter().map(Vec::len).max().unwrap_or_default();
        let longest = self.tokens.unwrap_or(longest);
        let shape = vec![texts.len(), longest];
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for tokens in &all {
            let rest = longest.saturating_sub(tokens.len());
            ids.extend(tokens.iter().map(|&token| i64::from(token)));
            ids.extend(std::iter::repeat_n(self.padding, rest));
            mask.extend(std::iter::repeat_n(1, tokens.len()));
            mask.extend(std::iter::repeat_n(0, rest));
        }
        Ok([ids, mask].map(|data| Input::Integers {
            shape: shape.clone(),
            data,
        }))
    }
}

impl TextImageScorer for OnnxScorer {
    fn identity(&self) -> Value {
        let [model, tokenizer] = &self.sha256;
        json!({"scorer": "onnx", "sha256": model, "tokenizer": tokenizer})
    }

    fn similarities(&self, view: &View<'_>, texts: &[&str]) -> Result<Vec<Option<f64>>, Error> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let side = self.side as usize;
        // One patch is the whole picture: channels, rows, columns.
        let pixels = self.images.process(view.image, side)?;
        let pixels = Input::Floats(Array {
            shape: vec![1, 3, side, side],
            data: pixels.pixels,
        });
        let [ids, mask] = self.tokens(texts)?;
        let given = [(PIXELS, pixels), (TOKENS, ids), (MASK, mask)];
        let known = self.model.inputs();
        let inputs = given.into_iter().filter_map(|(name, input)| {
            known
                .iter()
                .any(|known| known == name)
                .then(|| (name.to_owned(), input))
        });
        let outputs = self.model.run_named(inputs.collect())?;
        let scores = outputs.into_iter().find(|(name, _)| name == SCORES);
        match scores {
            Some((_, scores))
                if scores.data.len() == texts.len()
                    && scores.data.iter().all(|s| s.is_finite()) =>
            {
                Ok(scores
                    .data
                    .iter()
                    .map(|&score| Some(f64::from(score)))
                    .collect())
            }
            _ => Err(self.model.error(format!(
                "no output {SCORES} with {} finite numbers, one for each text",
                texts.len()
            ))),
        }
    }
}
