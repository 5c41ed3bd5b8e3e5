//! Pictures and videos of Qwen2-VL and Qwen2.5-VL: as many patches as they have pixels, within limits.

use std::path::Path;

use percept_data::{BoxFormat, ImageProcessor, Media, Patches, Video};
use percept_weights::write_json;
use serde_json::Value;

use crate::processor::errors::bad;
use crate::processor::positions::Run;
use crate::processor::preprocessor_files::PreprocessorFiles;
use crate::processor::vision::{ProcessedMedia, VisionProcessor};
use crate::{Error, VisionTokens};

pub(crate) struct Qwen2VlProcessor {
    pub(crate) images: ImageProcessor,
    pub(crate) videos: ImageProcessor,
    pub(crate) tokens: VisionTokens,
    /// Temporal positions per second of video; none in Qwen2-VL, whose frames count by one.
    pub(crate) tokens_per_second: Option<f64>,
}

impl Qwen2VlProcessor {
    pub(crate) fn load(
        dir: &Path,
        config: &Value,
        files: &PreprocessorFiles,
    ) -> Result<Self, Error> {
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
            video: Some(token("video_token_id")?),
            start: Some(token("vision_start_token_id")?),
            end: Some(token("vision_end_token_id")?),
        };
        // The class default of transformers where the file leaves it out.
        let timed = config["model_type"] == "qwen2_5_vl";
        let rate = &config["vision_config"]["tokens_per_second"];
        let tokens_per_second = timed.then(|| rate.as_f64().unwrap_or(4.0));
        // Without a file for videos transformers reads the one for images, with the sizes of that.
        let videos = match files.part(dir, "video_processor", "video_preprocessor_config.json")? {
            Some(videos) => ImageProcessor::videos_from_json(&videos)?,
            None => ImageProcessor::from_json(&files.images)?,
        };
        Ok(Self {
            images: ImageProcessor::from_json(&files.images)?,
            videos,
            tokens,
            tokens_per_second,
        })
    }
}

impl VisionProcessor for Qwen2VlProcessor {
    fn tokens(&self) -> VisionTokens {
        self.tokens
    }

    fn image(&self, image: &Media) -> Result<Patches, Error> {
        Ok(self.images.process(&image.decode()?)?)
    }

    fn video(&self, video: &Video) -> Result<(Patches, f32), Error> {
        let frames = video.frames.iter().map(|f| f.decode());
        let frames = frames.collect::<Result<Vec<_>, _>>()?;
        // The rate as it was written: 1.7, not the single nearest to it.
        let fps: f64 = video
            .fps
            .to_string()
            .parse()
            .unwrap_or(f64::from(video.fps));
        let seconds = self.videos.temporal_patch_size as f64 / fps;
        Ok((self.videos.process_video(&frames)?, seconds as f32))
    }

    fn run(&self, media: &ProcessedMedia) -> Run {
        let merge = self.images.merge_size;
        let [t, h, w] = media.patches.grid_thw;
        let interval = match (media.video, self.tokens_per_second) {
            // Single precision as in transformers: the product is truncated.
            (true, Some(rate)) => rate as f32 * media.seconds_per_patch,
            _ => 1.0,
        };
        Run::Vision {
            grid: [t, h / merge, w / merge],
            interval,
        }
    }

    fn whole_text(&self) -> bool {
        false
    }

    fn box_format(&self) -> BoxFormat {
        BoxFormat::Tokens
    }

    fn box_size(
        &self,
        width: usize,
        height: usize,
    ) -> Result<Option<(usize, usize)>, percept_data::Error> {
        match self.tokens_per_second {
            Some(_) => Ok(Some(self.images.resized(width, height)?)),
            None => Ok(None),
        }
    }

    fn set_pixel_limits(&mut self, min: Option<usize>, max: Option<usize>) -> Result<(), Error> {
        for side in [&mut self.images, &mut self.videos] {
            side.min_pixels = min.unwrap_or(side.min_pixels);
            let most = ImageProcessor::MAX_MIN_PIXELS;
            if side.min_pixels > most {
                let message = format!("found {}, expected at most {most}", side.min_pixels);
                return Err(bad("min_pixels", message));
            }
            side.max_pixels = max.unwrap_or(side.max_pixels);
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

    fn geometry(&self) -> Vec<(&'static str, String)> {
        let images = &self.images;
        vec![
            ("patch_size", images.patch_size.to_string()),
            (
                "temporal_patch_size",
                images.temporal_patch_size.to_string(),
            ),
            ("merge_size", images.merge_size.to_string()),
            ("image_mean", format!("{:?}", images.image_mean)),
            ("image_std", format!("{:?}", images.image_std)),
        ]
    }

    fn save(&self, dir: &Path) -> Result<(), Error> {
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
