//! From a [`Sample`] to token ids and back: tokenizer, chat template, image placeholders, M-RoPE
//! positions.

use std::borrow::Cow;
use std::path::Path;

use percept_data::{BoxFormat, ChatTemplate, ImageProcessor, Message, Role, Sample};
use percept_kernels::sparse::AttentionConfig;
use serde_json::{Map, Value, json};

use crate::processor::assemble::assemble;
use crate::processor::chat::Chat;
use crate::processor::errors::at;
use crate::processor::files::{json_file, special, template_source};
use crate::processor::grounding::grounded;
use crate::processor::qwen2vl::Qwen2VlProcessor;
use crate::processor::segments::segments;
use crate::processor::spans::SpanMarkers;
use crate::processor::tokenizer::ModelTokenizer;
use crate::processor::unread_fields::unread;
use crate::processor::vision::VisionProcessor;
use crate::processor::vision_processors;
use crate::{Attention, Error, GenerationConfig, Prompt, VisionTokens};

/// Everything between text and token ids of one model family.
pub struct Processor {
    pub(super) tokenizer: ModelTokenizer,
    pub(super) chat: Chat,
    vision: Option<Box<dyn VisionProcessor>>,
    generation: GenerationConfig,
    /// How boxes are written, where the model's own way is not wanted.
    box_format: Option<BoxFormat>,
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
        let config = json_file(&model.join("config.json"))?.unwrap_or(json!({}));
        let path = model.join("generation_config.json");
        let generation = json_file(&path)?.unwrap_or(json!({}));
        let tokenizer = ModelTokenizer::load(dir, &config, &generation)?;
        let own = tokenizer.config();
        let token = |field: &str| special(own, field).unwrap_or_default();
        let vision = vision_processors::load(dir, &config, &tokenizer)?;
        let template = match template_source(dir, own, vision.is_none())? {
            None => None,
            Some(source) => Some(ChatTemplate::new(
                &source,
                &token("bos_token"),
                &token("eos_token"),
            )?),
        };
        let generation = GenerationConfig::from_json(&generation, &path.display().to_string())?;
        Ok(Self::new(tokenizer, template, vision, generation))
    }

    fn new(
        tokenizer: ModelTokenizer,
        template: Option<ChatTemplate>,
        vision: Option<Box<dyn VisionProcessor>>,
        generation: GenerationConfig,
    ) -> Self {
        Self {
            tokenizer,
            chat: Chat {
                template,
                kwargs: Map::new(),
                text_only: vision.is_none(),
            },
            vision,
            generation,
            box_format: None,
        }
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
        let tokenizer = ModelTokenizer::from_parts(tokenizer, tokenizer_config)?;
        let tokens = VisionTokens {
            image: tokenizer.required_id("<|image_pad|>")?,
            video: Some(tokenizer.required_id("<|video_pad|>")?),
            start: Some(tokenizer.required_id("<|vision_start|>")?),
            end: Some(tokenizer.required_id("<|vision_end|>")?),
        };
        let source = tokenizer.config()["chat_template"]
            .as_str()
            .unwrap_or_default();
        let template = ChatTemplate::new(source, "", "")?;
        let vision = Qwen2VlProcessor {
            videos: images.clone(),
            images,
            tokens,
            tokens_per_second: Some(tokens_per_second),
        };
        let generation = GenerationConfig::default();
        Ok(Self::new(
            tokenizer,
            Some(template),
            Some(Box::new(vision)),
            generation,
        ))
    }

    /// Writes the files that [`Processor::load`] and transformers read, besides those that
    /// belong to the model.
    ///
    /// # Errors
    /// [`Error::Weights`] when the disk refuses.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        self.tokenizer.save(dir)?;
        if let Some(template) = &self.chat.template {
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
    /// [`Error::Processor`] when the limits contradict each other, or the model's pictures all have one size.
    pub fn set_pixel_limits(
        &mut self,
        min_pixels: Option<usize>,
        max_pixels: Option<usize>,
    ) -> Result<(), Error> {
        match &mut self.vision {
            Some(vision) => vision.set_pixel_limits(min_pixels, max_pixels),
            None => Ok(()),
        }
    }

    /// Named values that the chat template gets with every conversation: `enable_thinking`, …. Those of a row
    /// (`chat_template_kwargs`) come before them.
    pub fn set_chat_template_kwargs(&mut self, kwargs: Map<String, Value>) {
        self.chat.kwargs = kwargs;
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
        let text = self.chat.render(sample, turns, true)?;
        let prompt = self.assemble(sample, turns, &[(text, false)], &[], &mut Vec::new())?;
        if prompt.tokens.is_empty() {
            let message =
                "the chat template made no text of them\n  help: check chat_template.jinja";
            return Err(at(sample, "messages", message.to_owned()));
        }
        Ok(prompt)
    }

    /// Tokens of an answer to [`Processor::prompt`] of a sample, as the model itself would say it: what the chat template
    /// writes of the turn, its end token included. Earlier turns of the assistant are part of the prompt.
    ///
    /// # Errors
    /// [`Error::Processor`] naming the sample: its last turn is the assistant's, the answer holds media, the chat template
    /// rewrites earlier turns.
    pub fn response(&self, sample: &Sample, answer: &Message) -> Result<Vec<u32>, Error> {
        if sample
            .messages
            .last()
            .is_none_or(|m| m.role == Role::Assistant)
        {
            let message = "no turn to answer: the prompt ends with the assistant".to_owned();
            return Err(at(sample, "messages", message));
        }
        let mut whole = sample.clone();
        let earlier = whole.messages.iter_mut();
        earlier.for_each(|turn| turn.train = Some(false));
        whole.messages.push(Message {
            train: Some(true),
            ..answer.clone()
        });
        let whole = &*self.grounded(&whole)?;
        let ends = self.tokenizer.ends();
        let segments = segments(&self.chat, &ends, whole, &whole.messages)?;
        let tokens = match &self.vision {
            // Behind its prompt a text has other tokens than alone.
            Some(vision) if vision.whole_text() => {
                let all = self.tokenizer.encode_whole(&segments, &[])?.into_iter();
                all.filter(|(_, trained)| *trained)
                    .map(|(token, _)| token)
                    .collect()
            }
            _ => self.encode(segments.last().map_or("", |(text, _)| text.as_str()))?,
        };
        let placeholders = self.banned_ids();
        if let Some(&token) = tokens.iter().find(|token| placeholders.contains(token)) {
            let name = self.token_text(token);
            let message = format!("an answer holds {name}; expected text alone");
            return Err(at(sample, "answer", message));
        }
        Ok(tokens)
    }

    /// The prompt of rendered text and its media, see [`assemble`].
    pub(super) fn assemble(
        &self,
        sample: &Sample,
        messages: &[Message],
        segments: &[(String, bool)],
        masked: &[SpanMarkers],
        mask: &mut Vec<bool>,
    ) -> Result<Prompt, Error> {
        let vision = self.vision.as_deref();
        assemble(
            &self.tokenizer,
            vision,
            sample,
            messages,
            segments,
            masked,
            mask,
        )
    }

    /// The sample with `<ref-object>` and `<bbox>` filled from its `objects`: coordinates are thousandths for
    /// Qwen2-VL (and text models), pixels of the resized picture for Qwen2.5-VL.
    ///
    /// # Errors
    /// [`Error::Processor`] naming the row, when objects are missing or their image cannot be read.
    pub fn grounded<'a>(&self, sample: &'a Sample) -> Result<Cow<'a, Sample>, Error> {
        grounded(self.vision.as_deref(), self.box_format, sample)
    }

    /// Fields of turns, `tools` and `chat_template_kwargs` of a row that change nothing in the text: the chat
    /// template does not know them. Empty where the template refuses the row, which is another error.
    pub fn unread(&self, sample: &Sample) -> Vec<String> {
        unread(&self.chat, sample)
    }

    /// Whether the chat template writes a token that ends a response behind an assistant's turn; none where it refuses a
    /// question with its answer. A model that is trained on one that does not (LLaVA-1.5's) does not learn where to stop.
    pub fn ends_answers(&self) -> Option<bool> {
        const ANSWER: &str = "It is three.";
        let turns = [
            Message::text(Role::User, "How many?"),
            Message::text(Role::Assistant, ANSWER),
        ];
        let sample = Sample::new("", Vec::new());
        let text = self.chat.render(&sample, &turns, false).ok()?;
        let (_, behind) = text.rsplit_once(ANSWER)?;
        let ends = self.tokenizer.ends();
        Some(ends.iter().any(|end| behind.contains(end.as_str())))
    }

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

    /// Token ids of a text; special tokens in it are recognised, none are added.
    ///
    /// # Errors
    /// [`Error::Processor`] when the tokenizer cannot encode it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.tokenizer.encode(text)
    }

    /// Token ids of a text that stands alone, with the tokens that the tokenizer puts around one (the
    /// first token of Llama).
    ///
    /// # Errors
    /// As [`Processor::encode`].
    pub fn encode_document(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.tokenizer.encode_document(text)
    }

    /// Text of token ids, special tokens left out.
    pub fn decode(&self, tokens: &[u32]) -> String {
        self.tokenizer.decode(tokens)
    }

    /// Text of one token, special tokens by name.
    pub fn token_text(&self, token: u32) -> String {
        self.tokenizer.token_text(token)
    }

    /// Tokens that end a response.
    pub fn eos_ids(&self) -> &[u32] {
        &self.tokenizer.eos_ids
    }

    /// How the model's makers would sample from it.
    pub fn generation(&self) -> &GenerationConfig {
        &self.generation
    }

    /// Tokens that are never sampled: placeholders of images and videos.
    pub fn banned_ids(&self) -> Vec<u32> {
        let tokens = self.vision_tokens();
        tokens
            .iter()
            .flat_map(|ids| [Some(ids.image), ids.video])
            .flatten()
            .collect()
    }

    /// Token ids in all, special ones included.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.vocab_size()
    }

    /// Ids of the vision tokens; none for a text model.
    pub fn vision_tokens(&self) -> Option<VisionTokens> {
        self.vision.as_ref().map(|vision| vision.tokens())
    }

    /// Name and value of what decides how a picture of a given size becomes patches; empty for a text model.
    pub fn image_geometry(&self) -> Vec<(&'static str, String)> {
        self.vision.as_ref().map_or_else(Vec::new, |v| v.geometry())
    }

    /// Width and height in which boxes of a picture of this size are written; none where they are thousandths.
    ///
    /// # Errors
    /// [`Error::Data`] for a picture that cannot be resized.
    pub fn box_size(&self, width: usize, height: usize) -> Result<Option<(usize, usize)>, Error> {
        match &self.vision {
            Some(vision) => Ok(vision.box_size(width, height)?),
            None => Ok(None),
        }
    }

    /// The id of a token by its text.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_id(token)
    }
}
