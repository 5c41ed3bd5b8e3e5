//! From a [`Sample`] to token ids and back: tokenizer, chat template, image placeholders, M-RoPE
//! positions, loss masks.

use std::path::Path;

use percept_data::{
    BoxFormat, ChatTemplate, ImageProcessor, Message, Part, Role, Sample, TemplateFields,
};
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use crate::processor::files::{VisionSide, ids, json_file, special, template_source};
use crate::{Error, GenerationConfig, Prompt, VisionTokens};

/// Everything between text and token ids of one model family.
pub struct Processor {
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    pub(crate) vision: Option<VisionSide>,
    pub(crate) eos_ids: Vec<u32>,
    tokenizer_config: Value,
    generation: GenerationConfig,
    /// What every conversation gives the chat template; a row's own values come first.
    chat_template_kwargs: Map<String, Value>,
    /// How boxes are written, where the model's own way is not wanted.
    pub(crate) box_format: Option<BoxFormat>,
}

/// A conversation for supervised training.
#[derive(Debug, Clone, Default)]
pub struct Training {
    /// All tokens of the conversation.
    pub prompt: Prompt,
    /// `[tokens]`: whether the token is predicted with a loss.
    pub mask: Vec<bool>,
}

impl Training {
    /// Tokens with a loss. The first token of a conversation has nothing to be predicted from.
    pub fn trained_tokens(&self) -> usize {
        self.mask.iter().skip(1).filter(|trained| **trained).count()
    }
}

impl Processor {
    /// Reads tokenizer.json, tokenizer_config.json, added_tokens.json, special_tokens_map.json, the chat template, generation_config.json and,
    /// for vision-language models, preprocessor_config.json of a Hugging Face folder.
    ///
    /// # Errors
    /// [`Error::Processor`] naming the file that is missing or malformed.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        Self::load_with(dir, dir)
    }

    /// As [`Processor::load`], with tokenizer, chat template and preprocessing from `dir` and what belongs to the
    /// model (config.json, generation_config.json) from `model`: an adapter may bring its own.
    ///
    /// # Errors
    /// As [`Processor::load`].
    pub fn load_with(model: &Path, dir: &Path) -> Result<Self, Error> {
        let path = dir.join("tokenizer.json");
        let mut tokenizer = crate::processor::tokenizer_file::read(&path)?;
        // Some files carry the settings of the run that wrote them; prompts are never cut or filled.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|e| bad(path.display(), e.to_string()))?;
        let tokenizer_config = json_file(&dir.join("tokenizer_config.json"))?.unwrap_or(json!({}));
        let config = json_file(&model.join("config.json"))?.unwrap_or(json!({}));
        let generation = json_file(&model.join("generation_config.json"))?.unwrap_or(json!({}));
        let text = config.get("text_config").unwrap_or(&config);
        let rows = text["vocab_size"]
            .as_u64()
            .or(config["vocab_size"].as_u64());
        crate::processor::added_tokens::add(&mut tokenizer, dir, &tokenizer_config, rows)?;
        let token = |field: &str| special(&tokenizer_config, field).unwrap_or_default();
        let template =
            match template_source(dir, &tokenizer_config, config["vision_config"].is_null())? {
                None => None,
                Some(source) => Some(ChatTemplate::new(
                    &source,
                    &token("bos_token"),
                    &token("eos_token"),
                )?),
            };
        let mut eos_ids = ids(&generation["eos_token_id"]);
        if eos_ids.is_empty() {
            eos_ids = ids(&config["eos_token_id"]);
        }
        if eos_ids.is_empty() {
            eos_ids = ids(&config["text_config"]["eos_token_id"]);
        }
        eos_ids.extend(tokenizer.token_to_id(&token("eos_token")));
        eos_ids.sort_unstable();
        eos_ids.dedup();
        let vision = VisionSide::load(dir, &config)?;
        let file = model.join("generation_config.json").display().to_string();
        Ok(Self {
            tokenizer,
            template,
            vision,
            eos_ids,
            tokenizer_config,
            generation: GenerationConfig::from_json(&generation, &file)?,
            chat_template_kwargs: Map::new(),
            box_format: None,
        })
    }

    /// Puts a processor together from its parts.
    ///
    /// # Errors
    /// [`Error::Processor`] for a tokenizer or template that does not parse.
    pub(crate) fn from_parts(
        tokenizer: &Value,
        tokenizer_config: Value,
        images: ImageProcessor,
        tokens_per_second: f64,
    ) -> Result<Self, Error> {
        let text = tokenizer.to_string();
        let tokenizer =
            Tokenizer::from_bytes(text.as_bytes()).map_err(|e| bad("tokenizer", e.to_string()))?;
        let id = |token: &str| {
            tokenizer
                .token_to_id(token)
                .ok_or_else(|| bad("tokenizer", format!("has no {token}")))
        };
        let tokens = VisionTokens {
            image: id("<|image_pad|>")?,
            video: id("<|video_pad|>")?,
            start: id("<|vision_start|>")?,
            end: id("<|vision_end|>")?,
        };
        let eos_ids = vec![id(
            &special(&tokenizer_config, "eos_token").unwrap_or_default()
        )?];
        let source = tokenizer_config["chat_template"]
            .as_str()
            .unwrap_or_default();
        let template = Some(ChatTemplate::new(source, "", "")?);
        let videos = images.clone();
        let tokens_per_second = Some(tokens_per_second);
        let vision = VisionSide {
            images,
            videos,
            tokens,
            tokens_per_second,
        };
        Ok(Self {
            tokenizer,
            template,
            vision: Some(vision),
            eos_ids,
            tokenizer_config,
            generation: GenerationConfig::default(),
            chat_template_kwargs: Map::new(),
            box_format: None,
        })
    }

    /// Writes the files that [`Processor::load`] and transformers read, besides those that
    /// belong to the model.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join("tokenizer.json");
        let text = self
            .tokenizer
            .to_string(false)
            .map_err(|e| bad(path.display(), e.to_string()))?;
        std::fs::write(&path, text).map_err(Error::io(&path))?;
        crate::weights::save::write_json(
            &dir.join("tokenizer_config.json"),
            &self.tokenizer_config,
        )?;
        if let Some(template) = &self.template {
            let path = dir.join("chat_template.jinja");
            std::fs::write(&path, template.source()).map_err(Error::io(&path))?;
        }
        if let Some(vision) = &self.vision {
            vision.save(dir)?;
        }
        Ok(())
    }

    /// Overrides the image size limits, in pixels.
    ///
    /// # Errors
    /// [`Error::Processor`] when the limits contradict each other.
    pub fn set_pixel_limits(
        &mut self,
        min_pixels: Option<usize>,
        max_pixels: Option<usize>,
    ) -> Result<(), Error> {
        let Some(vision) = &mut self.vision else {
            return Ok(());
        };
        for side in [&mut vision.images, &mut vision.videos] {
            side.min_pixels = min_pixels.unwrap_or(side.min_pixels);
            let most = ImageProcessor::MOST_MIN_PIXELS;
            if side.min_pixels > most {
                let message = format!("found {}, expected at most {most}", side.min_pixels);
                return Err(bad("min_pixels", message));
            }
            side.max_pixels = max_pixels.unwrap_or(side.max_pixels);
            if side.min_pixels > side.max_pixels {
                let message = format!(
                    "{} is above max_pixels, {}",
                    side.min_pixels, side.max_pixels
                );
                return Err(bad("min_pixels", message));
            }
        }
        Ok(())
    }

    /// Named values that the chat template gets with every conversation: `enable_thinking`, …. Those of a row
    /// (`chat_template_kwargs`) come before them.
    pub fn set_chat_template_kwargs(&mut self, kwargs: Map<String, Value>) {
        self.chat_template_kwargs = kwargs;
    }

    /// How `<ref-object>` and `<bbox>` of ms-swift rows are written; by default as ms-swift does for the model.
    pub fn set_box_format(&mut self, format: Option<BoxFormat>) {
        self.box_format = format;
    }

    /// The prompt of a sample: its turns up to the last one that is not the assistant's, and the
    /// opening of the assistant's answer.
    ///
    /// # Errors
    /// [`Error::Processor`] or [`Error::Data`] naming the sample.
    pub fn prompt(&self, sample: &Sample) -> Result<Prompt, Error> {
        let sample = &*self.grounded(sample)?;
        let last = sample
            .messages
            .iter()
            .rposition(|m| m.role != Role::Assistant);
        let turns = last.map_or(&[][..], |last| &sample.messages[..=last]);
        if turns.iter().all(|m| m.role == Role::System) {
            let message =
                "no turn of the user to answer\n  help: a prompt needs a turn with role user"
                    .to_owned();
            return Err(at(sample, "messages", message));
        }
        let text = self.render(sample, turns, true)?;
        let prompt = self.assemble(sample, turns, &[(text, false)])?;
        if prompt.tokens.is_empty() {
            let message =
                "the chat template made no text of them\n  help: check chat_template.jinja";
            return Err(at(sample, "messages", message.to_owned()));
        }
        Ok(prompt)
    }

    /// A conversation for supervised training: the loss is on the assistant's turns (or on those
    /// with `train`), the end token of a turn included. A sample that ends with the user is
    /// completed by its expert trajectory.
    ///
    /// # Errors
    /// [`Error::Processor`] when there is nothing to train on, or when the chat template changes
    /// earlier turns as the conversation goes on.
    pub fn sft(&self, sample: &Sample) -> Result<Training, Error> {
        let sample = &*self.grounded(sample)?;
        let mut messages = sample.messages.clone();
        if messages.last().is_none_or(|m| m.role != Role::Assistant) {
            match &sample.expert {
                _ if !sample.trajectory.is_empty() => {
                    messages.extend_from_slice(&sample.trajectory)
                }
                Some(expert) => messages.push(Message::text(Role::Assistant, expert.as_str())),
                None => {
                    let message = "no assistant turn and no expert trajectory to train on\n  help:                                    supervised training needs a last turn with role assistant, or a                                    column completion, response or expert";
                    return Err(at(sample, "messages", message.to_owned()));
                }
            }
        }
        // What follows the last trained turn teaches nothing.
        let Some(last) = messages.iter().rposition(Message::trains) else {
            let message = "no turn to train on: every assistant turn has train = false".into();
            return Err(at(sample, "messages", message));
        };
        messages.truncate(last + 1);
        let segments = self.segments(sample, &messages)?;
        let mut mask = Vec::new();
        let prompt = self.assemble_masked(sample, &messages, &segments, &mut mask)?;
        Ok(Training { prompt, mask })
    }

    pub(crate) fn render(
        &self,
        sample: &Sample,
        messages: &[Message],
        open_answer: bool,
    ) -> Result<String, Error> {
        let medium = |part: &Part| !matches!(part, Part::Text(_));
        if self.vision.is_none() && messages.iter().flat_map(|m| &m.content).any(medium) {
            let message = "this model reads text only\n  help: remove the images and videos or \
                           choose a vision-language model"
                .to_owned();
            return Err(at(sample, "messages", message));
        }
        let Some(template) = &self.template else {
            let message = "the model has no chat template\n  help: add chat_template.jinja to its \
                           folder"
                .to_owned();
            return Err(at(sample, "messages", message));
        };
        template
            .render_with(messages, &self.template_fields(sample), open_answer)
            .map_err(|e| at(sample, "messages", e.report().what.clone()))
    }

    /// What the template gets besides the turns: the row's values, then the recipe's.
    fn template_fields(&self, sample: &Sample) -> TemplateFields {
        let mut fields = sample.template.clone();
        for (name, value) in &self.chat_template_kwargs {
            fields
                .kwargs
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
        fields
    }

    /// Token ids of a text; special tokens in it are recognised, none are added.
    ///
    /// # Errors
    /// [`Error::Processor`] when the tokenizer cannot encode it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
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
    /// As [`Processor::encode`].
    pub fn encode_document(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding = self.tokenizer.encode_fast(text, true);
        Ok(encoding
            .map_err(|e| bad("tokenizer", e.to_string()))?
            .get_ids()
            .to_vec())
    }

    /// Text of token ids, special tokens left out.
    pub fn decode(&self, tokens: &[u32]) -> String {
        self.tokenizer.decode(tokens, true).unwrap_or_default()
    }

    /// Text of one token, special tokens by name.
    pub fn token_text(&self, token: u32) -> String {
        self.tokenizer.decode(&[token], false).unwrap_or_default()
    }

    /// Tokens that end a response.
    pub fn eos_ids(&self) -> &[u32] {
        &self.eos_ids
    }

    /// How the model's makers would sample from it.
    pub fn generation(&self) -> &GenerationConfig {
        &self.generation
    }

    /// Tokens that are never sampled: placeholders of images and videos.
    pub fn banned_ids(&self) -> Vec<u32> {
        self.vision
            .iter()
            .flat_map(|v| [v.tokens.image, v.tokens.video])
            .collect()
    }

    /// Token ids in all, special ones included.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Ids of the vision tokens; none for a text model.
    pub fn vision_tokens(&self) -> Option<VisionTokens> {
        self.vision.as_ref().map(|v| v.tokens)
    }

    /// Image preprocessing; none for a text model.
    pub fn image_processor(&self) -> Option<&ImageProcessor> {
        self.vision.as_ref().map(|v| &v.images)
    }

    /// The text by which the tokenizer knows a token.
    pub(crate) fn token_name(&self, token: u32) -> Option<String> {
        self.tokenizer.id_to_token(token)
    }

    /// The id of a token by its text.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }
}

pub(crate) fn bad(what: impl std::fmt::Display, message: String) -> Error {
    Error::Processor {
        what: what.to_string(),
        message,
    }
}

pub(crate) fn at(sample: &Sample, field: &str, message: String) -> Error {
    bad(format!("{}, {field}", sample.id), message)
}
