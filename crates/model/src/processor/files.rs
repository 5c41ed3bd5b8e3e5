//! The files of a processor's folder: preprocessing, chat template, special tokens.

use std::path::Path;

use percept_data::ImageProcessor;
use serde_json::Value;

use crate::processor::prompts::bad;
use crate::{Error, VisionTokens};

/// What a processor of a vision-language model has besides.
pub(crate) struct VisionSide {
    pub(crate) images: ImageProcessor,
    pub(crate) videos: ImageProcessor,
    pub(crate) tokens: VisionTokens,
    /// Temporal positions per second of video; none in Qwen2-VL, whose frames count by one.
    pub(crate) tokens_per_second: Option<f64>,
}

impl VisionSide {
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
        crate::weights::save::write_json(&dir.join("preprocessor_config.json"), &images)?;
        let mut videos = self.videos.to_json();
        videos["processor_class"] = class.into();
        videos["video_processor_type"] = "Qwen2VLVideoProcessor".into();
        if let Some(fields) = videos.as_object_mut() {
            fields.remove("image_processor_type");
        }
        crate::weights::save::write_json(&dir.join("video_preprocessor_config.json"), &videos)
    }
}

/// A JSON file; none when it does not exist.
pub(crate) fn json_file(path: &Path) -> Result<Option<Value>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let parsed = serde_json::from_str(&text);
    Ok(Some(parsed.map_err(|source| Error::Json {
        path: path.to_path_buf(),
        source,
    })?))
}

/// `chat_template.jinja`, `chat_template.json`, or the tokenizer's own. The second is of the processors of
/// vision-language models: beside a text model's tokenizer transformers does not read it, and it counts last.
pub(crate) fn template_source(
    dir: &Path,
    tokenizer_config: &Value,
    text_only: bool,
) -> Result<Option<String>, Error> {
    let path = dir.join("chat_template.jinja");
    if path.exists() {
        return Ok(Some(
            std::fs::read_to_string(&path).map_err(Error::io(&path))?,
        ));
    }
    let file = json_file(&dir.join("chat_template.json"))?.unwrap_or_default();
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        // Several templates by name.
        Value::Array(all) => all
            .iter()
            .find(|t| t["name"] == "default")
            .and_then(|t| t["template"].as_str().map(str::to_owned)),
        _ => None,
    };
    let (file, own) = (
        text(&file["chat_template"]),
        text(&tokenizer_config["chat_template"]),
    );
    Ok(match text_only {
        true => own.or(file),
        false => file.or(own),
    })
}

/// A special token of tokenizer_config.json: a string, or an object with `content`.
pub(crate) fn special(config: &Value, field: &str) -> Option<String> {
    let value = &config[field];
    value
        .as_str()
        .or_else(|| value["content"].as_str())
        .map(str::to_owned)
}

/// One token id or a list of them.
pub(crate) fn ids(value: &Value) -> Vec<u32> {
    match value {
        Value::Array(all) => all
            .iter()
            .filter_map(Value::as_u64)
            .map(|id| id as u32)
            .collect(),
        value => value.as_u64().map(|id| id as u32).into_iter().collect(),
    }
}
