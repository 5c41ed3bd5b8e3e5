//! Images and videos of a conversation as patches.

use std::path::Path;
use std::sync::Arc;

use percept_data::{ImageProcessor, Message, Part, Patches, Sample};
use percept_weights::write_json;
use serde_json::Value;

use crate::processor::errors::{at, bad};
use crate::processor::files::json_file;
use crate::{Error, VisionTokens};

/// What the processor of a vision-language model has beside tokenizer and chat template.
pub(crate) struct VisionProcessor {
    pub(crate) images: ImageProcessor,
    pub(crate) videos: ImageProcessor,
    pub(crate) tokens: VisionTokens,
    /// Temporal positions per second of video; none in Qwen2-VL, whose frames count by one.
    pub(crate) tokens_per_second: Option<f64>,
}

impl VisionProcessor {
    pub(crate) fn load(dir: &Path, config: &Value) -> Result<Option<Self>, Error> {
        let vision = &config["vision_config"];
        if vision.is_null() {
            return Ok(None);
        }
        // transformers 5 writes all into processor_config.json; the hub has a file for each.
        let together = json_file(&dir.join("processor_config.json"))?.unwrap_or_default();
        let part = |name: &str| Some(together[name].clone()).filter(Value::is_object);
        let path = dir.join("preprocessor_config.json");
        let Some(images) =
            part("image_processor").map_or_else(|| json_file(&path), |p| Ok(Some(p)))?
        else {
            return Err(bad(
                path.display(),
                "missing; a vision-language model needs it".into(),
            ));
        };
        let path = dir.join("video_preprocessor_config.json");
        let videos = part("video_processor").map_or_else(|| json_file(&path), |p| Ok(Some(p)))?;
        let token = |field: &str| {
            config[field].as_u64().map(|id| id as u32).ok_or_else(|| {
                bad(
                    dir.join("config.json").display(),
                    format!("{field} is not a token id"),
                )
            })
        };
        let tokens = VisionTokens {
            image: token("image_token_id")?,
            video: token("video_token_id")?,
            start: token("vision_start_token_id")?,
            end: token("vision_end_token_id")?,
        };
        // The class default of transformers where the file leaves it out.
        let timed = config["model_type"] == "qwen2_5_vl";
        let tokens_per_second = timed.then(|| vision["tokens_per_second"].as_f64().unwrap_or(4.0));
        // Without a file for videos transformers reads the one for images, with the sizes of that.
        let videos = match &videos {
            Some(videos) => ImageProcessor::videos_from_json(videos)?,
            None => ImageProcessor::from_json(&images)?,
        };
        let images = ImageProcessor::from_json(&images)?;
        Ok(Some(Self {
            images,
            videos,
            tokens,
            tokens_per_second,
        }))
    }

    /// Writes the hub's two files.
    pub(crate) fn save(&self, dir: &Path) -> Result<(), Error> {
        let class = match self.tokens_per_second {
            Some(_) => "Qwen2_5_VLProcessor",
            None => "Qwen2VLProcessor",
        };
        let mut images = self.images.to_json();
        images["processor_class"] = class.into();
        write_json(&dir.join("preprocessor_config.json"), &images)?;
        let mut videos = self.videos.to_json();
        videos["processor_class"] = class.into();
        videos["video_processor_type"] = "Qwen2VLVideoProcessor".into();
        if let Some(fields) = videos.as_object_mut() {
            fields.remove("image_processor_type");
        }
        let path = dir.join("video_preprocessor_config.json");
        Ok(write_json(&path, &videos)?)
    }
}

/// One preprocessed image or video.
pub(super) struct ProcessedMedia {
    pub(super) patches: Arc<Patches>,
    pub(super) video: bool,
    /// Time between two temporal patches; 0 for an image.
    pub(super) seconds_per_patch: f32,
}

/// Preprocessed media of the conversation, in order of appearance.
pub(super) fn media(
    vision: Option<&VisionProcessor>,
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
        out.push(ProcessedMedia {
            patches: Arc::new(patches),
            video,
            seconds_per_patch: seconds,
        });
    }
    Ok(out)
}
