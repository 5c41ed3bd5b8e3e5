//! Rendered text and its media as one prompt: placeholders expanded, positions assigned.

use std::sync::Arc;

use percept_data::{Message, Part, Patches, Sample};

use crate::processor::positions::{Run, positions};
use crate::processor::prompts::at;
use crate::{Error, Processor, Prompt};

/// One preprocessed image or video.
struct Medium {
    patches: Arc<Patches>,
    video: bool,
    seconds_per_patch: f32,
}

impl Processor {
    pub(crate) fn assemble(
        &self,
        sample: &Sample,
        messages: &[Message],
        segments: &[(String, bool)],
    ) -> Result<Prompt, Error> {
        self.assemble_masked(sample, messages, segments, &mut Vec::new())
    }

    /// Tokenises rendered text, expands placeholders, assigns positions.
    pub(crate) fn assemble_masked(
        &self,
        sample: &Sample,
        messages: &[Message],
        segments: &[(String, bool)],
        mask: &mut Vec<bool>,
    ) -> Result<Prompt, Error> {
        let media = self.media(sample, messages)?;
        let mut media = media.into_iter();
        let mut prompt = Prompt::default();
        let mut runs: Vec<Run> = Vec::new();
        for (text, trained) in segments {
            prompt.text.push_str(text);
            for token in self.encode(text)? {
                let placeholder = self
                    .vision
                    .as_ref()
                    .filter(|v| token == v.tokens.image || token == v.tokens.video);
                let Some(vision) = placeholder else {
                    prompt.tokens.push(token);
                    mask.push(*trained);
                    Run::text(&mut runs);
                    continue;
                };
                let video = token == vision.tokens.video;
                let Some(found) = media.next().filter(|m| m.video == video) else {
                    let name = self.token_text(token);
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

    /// Preprocessed media of the conversation, in order of appearance.
    fn media(&self, sample: &Sample, messages: &[Message]) -> Result<Vec<Medium>, Error> {
        let mut out = Vec::new();
        for part in messages.iter().flat_map(|m| &m.content) {
            let (video, index) = match part {
                Part::Text(_) => continue,
                Part::Image(index) => (false, *index),
                Part::Video(index) => (true, *index),
            };
            let Some(vision) = &self.vision else {
                return Err(at(sample, "images", "this model reads text only".into()));
            };
            let (field, count) = match video {
                true => ("videos", sample.videos.len()),
                false => ("images", sample.images.len()),
            };
            let missing = || {
                let message = format!(
                    "a turn names number {index}, counted from 0, but the sample has {count}"
                );
                at(sample, field, message)
            };
            let (patches, seconds) = if video {
                let video = sample.videos.get(index).ok_or_else(missing)?;
                let frames = video
                    .frames
                    .iter()
                    .map(|f| f.decode())
                    .collect::<Result<Vec<_>, _>>()?;
                // The rate as it was written: 1.7, not the single nearest to it.
                let fps: f64 = video
                    .fps
                    .to_string()
                    .parse()
                    .unwrap_or(f64::from(video.fps));
                let seconds = vision.videos.temporal_patch_size as f64 / fps;
                (vision.videos.process_video(&frames)?, seconds as f32)
            } else {
                let image = sample.images.get(index).ok_or_else(missing)?;
                (vision.images.process(&image.decode()?)?, 0.0)
            };
            out.push(Medium {
                patches: Arc::new(patches),
                video,
                seconds_per_patch: seconds,
            });
        }
        Ok(out)
    }
}
