//! Tokenizer, chat template and image processor of the built-in small model.
//!
//! The vocabulary is the built-in task's own pieces (words with their leading space, single
//! digits, operators), cut greedily by a regular expression, so encoding and decoding lose
//! nothing and a response is a few dozen tokens. The files are those of any fast tokenizer;
//! `transformers.AutoTokenizer` loads them.

use percept_data::ImageProcessor;
use percept_data::{crawlers, digit_sum, scenes};
use serde_json::{Value, json};

use crate::{Error, Processor, TinyConfig, TinyCorpus};

/// Qwen2.5-VL's special tokens, in the order of its ids.
const SPECIAL: [&str; 7] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
];
const UNKNOWN: &str = "<unk>";

/// ChatML without a default system turn: prompts stay short.
fn template(corpus: TinyCorpus) -> String {
    const VIDEO: &str = "part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>";
    const IMAGE: &str = "part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>";
    const EACH: &str = "{% for part in message['content'] %}";
    let content = match corpus {
        // A small model learns to read digits with the question before the picture, and not the other way round. Its
        // template keeps that order wherever the picture was put, as LLaVA's templates put all pictures first: whoever
        // asks the trained model asks it as it was trained.
        TinyCorpus::DigitSum => format!(
            "{EACH}{{% if part['type'] not in ['image', 'video'] %}}{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}\
             {EACH}{{% if {IMAGE}{{% elif {VIDEO}{{% endif %}}{{% endfor %}}"
        ),
        TinyCorpus::Scenes | TinyCorpus::Crawlers => format!(
            "{EACH}{{% if {IMAGE}{{% elif {VIDEO}{{% else %}}{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}"
        ),
    };
    format!(
        "{{% for message in messages %}}<|im_start|>{{{{ message['role'] }}}}\n\
         {{% if message['content'] is string %}}{{{{ message['content'] }}}}{{% else %}}{content}{{% endif %}}\
         <|im_end|>\n{{% endfor %}}{{% if add_generation_prompt %}}<|im_start|>assistant\n{{% endif %}}"
    )
}

impl Processor {
    /// The processor of the built-in small model.
    ///
    /// # Errors
    /// None for shapes that [`TinyConfig::config`] accepts.
    pub fn tiny(config: &TinyConfig) -> Result<Self, Error> {
        let vision = &config.vision;
        let side = vision.patch_size * vision.spatial_merge_size;
        let images = ImageProcessor {
            patch_size: vision.patch_size,
            temporal_patch_size: vision.temporal_patch_size,
            merge_size: vision.spatial_merge_size,
            min_pixels: side * side,
            max_pixels: 4096 * side * side / 64,
            ..ImageProcessor::default()
        };
        let pieces = match config.corpus {
            TinyCorpus::DigitSum => digit_sum::corpus_pieces(),
            TinyCorpus::Scenes => scenes::corpus_pieces(),
            TinyCorpus::Crawlers => crawlers::corpus_pieces(),
        };
        Self::from_parts(
            &tokenizer(&pieces),
            tokenizer_config(config.corpus),
            images,
            4.0,
        )
    }
}

impl TinyConfig {
    /// The model's configuration for a processor made by [`Processor::tiny`].
    ///
    /// # Errors
    /// [`Error::Config`] when the shapes do not fit each other.
    pub fn for_processor(&self, processor: &Processor) -> Result<crate::ModelConfig, Error> {
        let missing = |what: &str| Error::Processor {
            what: "model.tiny".into(),
            message: format!("the tokenizer has no {what}"),
        };
        let vision = processor
            .vision_tokens()
            .ok_or_else(|| missing("vision tokens"))?;
        let id = |token: &str| processor.token_id(token).ok_or_else(|| missing(token));
        self.config(
            processor.vocab_size(),
            vision,
            id("<|im_end|>")?,
            id("<|endoftext|>")?,
        )
    }
}

fn tokenizer(pieces: &[String]) -> Value {
    let mut vocab = serde_json::Map::new();
    for (id, token) in SPECIAL.iter().copied().chain([UNKNOWN]).enumerate() {
        vocab.insert(token.to_owned(), id.into());
    }
    for piece in pieces {
        let id = vocab.len();
        vocab.insert(piece.clone(), id.into());
    }
    let special: Vec<Value> = SPECIAL
        .iter()
        .enumerate()
        .map(|(id, token)| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            })
        })
        .collect();
    // Longest first: the regular expression takes the first alternative that fits.
    let pattern: Vec<String> = pieces.iter().map(|piece| escape(piece)).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": special,
        "normalizer": null,
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": pattern.join("|")},
            "behavior": "Isolated",
            "invert": false,
        },
        "post_processor": null,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": UNKNOWN},
    })
}

/// A piece as a regular expression.
fn escape(piece: &str) -> String {
    let mut out = String::new();
    for c in piece.chars() {
        if !c.is_ascii_alphanumeric() && c != ' ' && c != '\n' && c != '<' && c != '>' {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn tokenizer_config(corpus: TinyCorpus) -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "Qwen2_5_VLProcessor",
        "model_max_length": 2048,
        "clean_up_tokenization_spaces": false,
        "bos_token": null,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        // No "unk_token": transformers would leave unknown words out of decoded text.
        "additional_special_tokens": SPECIAL,
        "chat_template": template(corpus),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_data::Dataset;
    use percept_data::digit_sum::{DigitSum, DigitSumConfig};

    #[test]
    fn expert_texts_survive_the_tokenizer_without_unknown_tokens() {
        let processor = Processor::tiny(&TinyConfig::default()).unwrap();
        let unknown = processor.token_id(UNKNOWN).unwrap();
        assert!(processor.vocab_size() < 160, "{}", processor.vocab_size());
        let data = DigitSum::new(DigitSumConfig {
            len: 400,
            ..Default::default()
        })
        .unwrap();
        for row in 0..data.len() {
            let expert = data.get(row).unwrap().expert.unwrap();
            let tokens = processor.encode(&expert).unwrap();
            assert!(!tokens.contains(&unknown), "{expert}");
            assert!(tokens.len() <= 48, "{expert}: {} tokens", tokens.len());
            assert_eq!(processor.decode(&tokens), expert);
        }
    }

    #[test]
    fn the_loss_is_on_the_expert_and_its_end_token_only() {
        let processor = Processor::tiny(&TinyConfig::default()).unwrap();
        let data = DigitSum::new(DigitSumConfig {
            len: 8,
            ..Default::default()
        })
        .unwrap();
        for row in 0..data.len() {
            let sample = data.get(row).unwrap();
            let training = processor.sft(&sample).unwrap();
            let prompt = processor.prompt(&sample).unwrap();
            let tokens = &training.prompt.tokens;
            assert_eq!(tokens[..prompt.tokens.len()], prompt.tokens);
            assert_eq!(
                training.prompt.positions[..prompt.tokens.len()],
                prompt.positions
            );
            let trained: Vec<u32> = tokens
                .iter()
                .zip(&training.mask)
                .filter(|(_, trained)| **trained)
                .map(|(token, _)| *token)
                .collect();
            assert_eq!(trained.last(), processor.eos_ids().first());
            assert_eq!(processor.decode(&trained), sample.expert.clone().unwrap());
            assert_eq!(
                prompt.vision_index.len(),
                prompt.tokens.iter().filter(|&&t| t == 5).count()
            );
        }
    }

    /// D9: `generate --image` puts the picture first where the prompt does not say where it stands.
    #[test]
    fn the_quick_start_s_model_is_asked_question_first_wherever_the_picture_was_put() {
        let processor = Processor::tiny(&TinyConfig::default()).unwrap();
        let data = DigitSum::new(DigitSumConfig {
            len: 4,
            ..Default::default()
        })
        .unwrap();
        for row in 0..data.len() {
            let trained = data.get(row).unwrap();
            let mut asked = trained.clone();
            asked.messages[0].content.reverse();
            assert_ne!(trained.messages, asked.messages);
            let (trained, asked) = (
                processor.prompt(&trained).unwrap(),
                processor.prompt(&asked).unwrap(),
            );
            assert_eq!((trained.text, trained.tokens), (asked.text, asked.tokens));
        }
        let scenes = TinyConfig {
            corpus: TinyCorpus::Scenes,
            ..TinyConfig::default()
        };
        let processor = Processor::tiny(&scenes).unwrap();
        let sample = scenes::Scenes::new(scenes::ScenesConfig {
            len: 1,
            ..Default::default()
        });
        let sample = sample.unwrap().get(0).unwrap();
        let text = processor.prompt(&sample).unwrap().text;
        assert!(
            text.starts_with("<|im_start|>user\n<|vision_start|>"),
            "{text}"
        );
    }

    #[test]
    fn saved_files_load_again() {
        let processor = Processor::tiny(&TinyConfig::default()).unwrap();
        let config = TinyConfig::default().for_processor(&processor).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let model = crate::Model::init(config, 0, &crate::Device::flex()).unwrap();
        model.save(dir.path(), crate::SaveDtype::F32).unwrap();
        processor.save(dir.path()).unwrap();
        let back = Processor::load(dir.path()).unwrap();
        let data = DigitSum::new(DigitSumConfig {
            len: 1,
            ..Default::default()
        })
        .unwrap();
        let sample = data.get(0).unwrap();
        let (a, b) = (
            processor.prompt(&sample).unwrap(),
            back.prompt(&sample).unwrap(),
        );
        assert_eq!((a.tokens, a.positions), (b.tokens, b.positions));
        assert_eq!(processor.eos_ids(), back.eos_ids());
        assert_eq!(processor.banned_ids(), back.banned_ids());
    }
}
