//! Pictures of LLaVA-1.5: all of one size, so that each takes the same number of tokens (576), which stand one behind the
//! other as words do.

use std::path::Path;

use percept_data::{BoxFormat, ClipImageProcessor, Media, Patches, Video};
use percept_weights::write_json;
use serde_json::{Value, json};

use crate::processor::errors::bad;
use crate::processor::positions::Run;
use crate::processor::preprocessor_files::PreprocessorFiles;
use crate::processor::tokenizer::ModelTokenizer;
use crate::processor::vision::{ProcessedMedia, VisionProcessor};
use crate::{Error, Family, LlavaVision, ModelConfig, VisionConfig, VisionTokens};

pub(crate) struct LlavaProcessor {
    images: ClipImageProcessor,
    vision: LlavaVision,
    tokens: VisionTokens,
    /// The text of the placeholder.
    image_token: String,
}

impl LlavaProcessor {
    /// Whether a config.json is LLaVA's.
    pub(crate) fn reads(config: &Value) -> bool {
        match config["architectures"][0].as_str() {
            Some(name) => name == Family::Llava.architecture(),
            None => config["model_type"] == Family::Llava.model_type(),
        }
    }

    pub(crate) fn load(
        dir: &Path,
        config: &Value,
        files: &PreprocessorFiles,
        tokenizer: &ModelTokenizer,
    ) -> Result<Self, Error> {
        let file = dir.join("config.json").display().to_string();
        let config = ModelConfig::from_json(config.clone(), &file)?;
        let (Some(VisionConfig::Llava(vision)), Some(tokens)) =
            (config.vision, config.vision_tokens)
        else {
            return Err(bad(file, "is not LLaVA's".into()));
        };
        let images = ClipImageProcessor::from_json(&files.images)?;
        let side = vision.image_size;
        if images.output_size() != Some((side, side)) {
            let found = match images.output_size() {
                Some((width, height)) => format!("pictures of {width} × {height} pixels"),
                None => "pictures of several sizes (do_center_crop is false)".to_owned(),
            };
            let message = format!(
                "makes {found}; the tower of config.json reads {side} × {side}\n  help: set size.shortest_edge and \
                 crop_size to image_size, and do_center_crop to true"
            );
            return Err(bad(dir.join("preprocessor_config.json").display(), message));
        }
        let own = files.processor.as_ref().unwrap_or(&Value::Null);
        check_token_count(dir, own, &vision)?;
        let image_token = own["image_token"].as_str().unwrap_or("<image>").to_owned();
        let (found, expected) = (tokenizer.token_id(&image_token), tokens.image);
        if found != Some(expected) {
            let found = found.map_or("no token".to_owned(), |id| format!("token {id}"));
            let message = format!(
                "{image_token:?} is {found}, but image_token_index of config.json is {expected}\n  help: tokenizer and model \
                 belong to different checkpoints?"
            );
            return Err(bad(dir.join("tokenizer.json").display(), message));
        }
        Ok(Self {
            images,
            vision,
            tokens,
            image_token,
        })
    }
}

/// The placeholders that processor_config.json announces are those that the tower fills.
fn check_token_count(dir: &Path, own: &Value, vision: &LlavaVision) -> Result<(), Error> {
    let file = || dir.join("processor_config.json").display().to_string();
    let number = |name: &str| match &own[name] {
        Value::Null => Ok(None),
        value => value.as_u64().map(|n| Some(n as usize)).ok_or_else(|| {
            bad(
                file(),
                format!("{name}: found {value}, expected a whole number"),
            )
        }),
    };
    // A folder from before these fields existed has none of them.
    let Some(patch) = number("patch_size")? else {
        return Ok(());
    };
    if patch != vision.patch_size {
        let message = format!(
            "patch_size: found {patch}, but the tower of config.json has patches of {} pixels",
            vision.patch_size
        );
        return Err(bad(file(), message));
    }
    let strategy = own["vision_feature_select_strategy"].as_str();
    let additional = number("num_additional_image_tokens")?.unwrap_or(0);
    let dropped = usize::from(strategy == Some("default"));
    let (found, expected) = (
        vision.patches() + additional,
        vision.image_tokens() + dropped,
    );
    if found == expected {
        return Ok(());
    }
    let message = format!(
        "num_additional_image_tokens: {additional} and vision_feature_select_strategy: {} make {} placeholders of a \
         picture, but the model fills {}\n  help: CLIP's tower has one class token beside the patches: \
         num_additional_image_tokens is 1, and the strategy is that of config.json",
        strategy.map_or("null".to_owned(), |s| format!("{s:?}")),
        found as i64 - dropped as i64,
        vision.image_tokens(),
    );
    Err(bad(file(), message))
}

impl VisionProcessor for LlavaProcessor {
    fn tokens(&self) -> VisionTokens {
        self.tokens
    }

    fn image(&self, image: &Media) -> Result<Patches, Error> {
        Ok(self
            .images
            .process(&image.decode()?, self.vision.patch_size)?)
    }

    fn video(&self, _: &Video) -> Result<(Patches, f32), Error> {
        let message = "LLaVA-1.5 reads pictures, not videos\n  help: give single frames as images";
        Err(bad("videos", message.into()))
    }

    fn run(&self, _: &ProcessedMedia) -> Run {
        Run::Text(self.vision.image_tokens())
    }

    fn whole_text(&self) -> bool {
        true
    }

    fn box_format(&self) -> BoxFormat {
        BoxFormat::Plain
    }

    fn box_size(&self, _: usize, _: usize) -> Result<Option<(usize, usize)>, percept_data::Error> {
        Ok(None)
    }

    fn set_pixel_limits(&mut self, min: Option<usize>, max: Option<usize>) -> Result<(), Error> {
        let field = match (min, max) {
            (None, None) => return Ok(()),
            (Some(_), _) => "min_pixels",
            (None, Some(_)) => "max_pixels",
        };
        let side = self.vision.image_size;
        let message = format!("pictures of this model always have {side} × {side} pixels");
        Err(bad(field, message))
    }

    fn geometry(&self) -> Vec<(&'static str, String)> {
        vec![
            ("patch_size", self.vision.patch_size.to_string()),
            (
                "preprocessor_config.json",
                self.images.to_json().to_string(),
            ),
        ]
    }

    fn save(&self, dir: &Path) -> Result<(), Error> {
        let class = "LlavaProcessor";
        let mut images = self.images.to_json();
        images["processor_class"] = class.into();
        write_json(&dir.join("preprocessor_config.json"), &images)?;
        let strategy = match self.vision.keeps_class_token {
            true => "full",
            false => "default",
        };
        let processor = json!({
            "image_token": self.image_token,
            "num_additional_image_tokens": 1,
            "patch_size": self.vision.patch_size,
            "processor_class": class,
            "vision_feature_select_strategy": strategy,
        });
        Ok(write_json(&dir.join("processor_config.json"), &processor)?)
    }
}
