//! Rendered text and its media as one prompt: placeholders expanded, positions assigned.

use percept_data::{Message, Sample};

use crate::processor::errors::at;
use crate::processor::positions::{Run, positions};
use crate::processor::spans::SpanMarkers;
use crate::processor::tokenizer::ModelTokenizer;
use crate::processor::vision::{VisionProcessor, media};
use crate::{Error, Prompt, VisionTokens};

/// Tokenises rendered text, expands placeholders, assigns positions. `mask` gets one entry for each token: whether
/// its segment is trained and the token holds nothing of `masked`.
pub(super) fn assemble(
    tokenizer: &ModelTokenizer,
    vision: Option<&dyn VisionProcessor>,
    sample: &Sample,
    messages: &[Message],
    segments: &[(String, bool)],
    masked: &[SpanMarkers],
    mask: &mut Vec<bool>,
) -> Result<Prompt, Error> {
    let media = media(vision, sample, messages)?;
    let mut media = media.into_iter();
    let mut prompt = Prompt::default();
    let mut runs: Vec<Run> = Vec::new();
    for (text, _) in segments {
        prompt.text.push_str(text);
    }
    let tokens = match vision.is_some_and(VisionProcessor::whole_text) {
        true => tokenizer.encode_whole(segments, masked)?,
        false => tokenizer.encode_pieces(segments, masked)?,
    };
    let ids = vision.map(VisionProcessor::tokens);
    for (token, trained) in tokens {
        let is_video = |ids: &VisionTokens| ids.video == Some(token);
        let placeholder = ids.filter(|ids| token == ids.image || is_video(ids));
        let Some((vision, ids)) = vision.zip(placeholder) else {
            prompt.tokens.push(token);
            mask.push(trained);
            Run::text(&mut runs);
            continue;
        };
        let video = is_video(&ids);
        let Some(found) = media.next().filter(|m| m.video == video) else {
            let name = tokenizer.token_text(token);
            let message = format!(
                "the prompt has more placeholders than images or videos\n  help: does a \
                 turn's text contain {name}? Write images as parts of a turn instead"
            );
            return Err(at(sample, "messages", message));
        };
        let run = vision.run(&found);
        let (start, count) = (prompt.tokens.len(), run.tokens());
        prompt
            .vision_index
            .extend((start..start + count).map(|row| row as u32));
        prompt.tokens.extend(std::iter::repeat_n(token, count));
        mask.extend(std::iter::repeat_n(false, count));
        runs.push(run);
        prompt.vision.push(found.patches);
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
