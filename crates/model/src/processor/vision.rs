//! Images and videos of a conversation as patches.

use std::path::Path;
use std::sync::Arc;

use percept_data::{BoxFormat, Media, Message, Part, Patches, Sample, Video};

use crate::processor::errors::at;
use crate::processor::positions::Run;
use crate::{Error, VisionTokens};

/// What the processor of a vision-language model has beside tokenizer and chat template.
///
/// A new family is a file that implements this, and its line in `vision_processors.rs`.
pub(crate) trait VisionProcessor: Send + Sync {
    /// Placeholders and markers.
    fn tokens(&self) -> VisionTokens;

    /// The patches of a picture.
    ///
    /// # Errors
    /// [`Error::Data`] for one that cannot be decoded or resized.
    fn image(&self, image: &Media) -> Result<Patches, Error>;

    /// The patches of a video, and the seconds between two temporal ones.
    ///
    /// # Errors
    /// [`Error::Data`] for frames that cannot be decoded or resized, [`Error::Processor`] where the family reads none.
    fn video(&self, video: &Video) -> Result<(Patches, f32), Error>;

    /// The tokens of a medium and their positions.
    fn run(&self, media: &ProcessedMedia) -> Run;

    /// Whether a prompt is tokenised whole, with the tokens that the tokenizer puts around a text, as the family's processor
    /// in transformers does; else piece by piece and without them.
    fn whole_text(&self) -> bool;

    /// How boxes are written.
    fn box_format(&self) -> BoxFormat;

    /// Width and height in which boxes of a picture of this size are written; none for thousandths.
    ///
    /// # Errors
    /// For a picture that cannot be resized.
    fn box_size(
        &self,
        width: usize,
        height: usize,
    ) -> Result<Option<(usize, usize)>, percept_data::Error>;

    /// Overrides the image size limits, in pixels.
    ///
    /// # Errors
    /// [`Error::Processor`] when the limits contradict each other, or pictures have one size.
    fn set_pixel_limits(&mut self, min: Option<usize>, max: Option<usize>) -> Result<(), Error>;

    /// Name and value of what decides how a picture of a given size becomes patches.
    fn geometry(&self) -> Vec<(&'static str, String)>;

    /// Writes the hub's files.
    ///
    /// # Errors
    /// [`Error::Weights`] when the disk refuses.
    fn save(&self, dir: &Path) -> Result<(), Error>;
}

/// One preprocessed image or video.
pub(crate) struct ProcessedMedia {
    pub(crate) patches: Arc<Patches>,
    pub(crate) video: bool,
    /// Time between two temporal patches; 0 for an image.
    pub(crate) seconds_per_patch: f32,
}

/// Preprocessed media of the conversation, in order of appearance.
pub(super) fn media(
    vision: Option<&dyn VisionProcessor>,
    sample: &Sample,
    messages: &[Message],
) -> Result<Vec<ProcessedMedia>, Error> {
    let mut out = Vec::new();
    for part in messages.iter().flat_map(|m| &m.content) {
        let (video, index) = match part {
            Part::Text(_) => continue,
            Part::Image(index) => (false, *index),
            Part::Video(index) => (true, *index),
        };
        let Some(vision) = vision else {
            return Err(at(sample, "images", "this model reads text only".into()));
        };
        let (field, count) = match video {
            true => ("videos", sample.videos.len()),
            false => ("images", sample.images.len()),
        };
        let missing = || {
            let message =
                format!("a turn names number {index}, counted from 0, but the sample has {count}");
            at(sample, field, message)
        };
        let (patches, seconds_per_patch) = if video {
            vision.video(sample.videos.get(index).ok_or_else(missing)?)?
        } else {
            let image = sample.images.get(index).ok_or_else(missing)?;
            (vision.image(image)?, 0.0)
        };
        out.push(ProcessedMedia {
            patches: Arc::new(patches),
            video,
            seconds_per_patch,
        });
    }
    Ok(out)
}
