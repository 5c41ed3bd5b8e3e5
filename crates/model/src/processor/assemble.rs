//! Rendered text and its media as one prompt: placeholders expanded, positions assigned.

use percept_data::{Message, Sample};

use crate::processor::errors::at;
use crate::processor::positions::{Run, positions};
use crate::processor::tokenizer::ModelTokenizer;
use crate::processor::vision::{VisionProcessor, media};
use crate::{Error, Prompt};

/// Tokenises rendered text, expands placeholders, assigns positions. `mask` gets one entry for each token: whether
/// its segment is trained.
pub(super) fn assemble(
    tokenizer: &ModelTokenizer,
    vision: Option<&VisionProcessor>,
    sample: &Sample,
    messages: &[Message],
    segments: &[(String, bool)],
    mask: &mut Vec<bool>,
) -> Result<Prompt, Error> {
    let media = media(vision, sample, messages)?;
    let mut media = media.into_iter();
    let mut prompt = Prompt::default();
    let mut runs: Vec<Run> = Vec::new();
    for (text, trained) in segments {
        prompt.text.push_str(text);
        for token in tokenizer.encode(text)? {
            let placeholder = vision.filter(|v| token == v.tokens.image || token == v.tokens.video);
            let Some(vision) = placeholder else {
                prompt.tokens.push(token);
                mask.push(*trained);
                Run::text(&mut runs);
                continue;
            };
            let video = token == vision.tokens.video;
            let Some(found) = media.next().filter(|m| m.video == video) else {
                let name = tokenizer.token_text(token);
                let message = format!(
                    "the prompt has more placeholders than images or videos\n  help: does a \
                     turn's text contain {name}? Write images as parts of a turn instead"
                );
                return Err(at(sample, "messages", message));
            };
            let merge = vision.images.merge_size;
            let [t, h, w] = found.patches.grid_thw;
            let count = t * (h / merge) * (w / merge);
            let start = prompt.tokens.len();
            prompt
                .vision_index
                .extend((start..start + count).map(|row| row as u32));
            prompt.tokens.extend(std::iter::repeat_n(token, count));
            mask.extend(std::iter::repeat_n(false, count));
            let interval = match (video, vision.tokens_per_second) {
                // Single precision as in transformers: the product is truncated.
                (true, Some(rate)) => rate as f32 * found.seconds_per_patch,
                _ => 1.0,
            };
            runs.push(Run::Vision {
                grid: [t, h / merge, w / merge],
                interval,
            });
            prompt.vision.push(found.patches);
        }
    }
    if media.next().is_some() {
        return Err(at(
            sample,
            "messages",
            "the chat template left out an image or video of the conversation".into(),
        ));
    }
    (prompt.positions, prompt.next_position) = positions(&runs);
    Ok(prompt)
}
