//! The processors of images that there are.

use std::path::Path;

use serde_json::Value;

use crate::Error;
use crate::processor::llava::LlavaProcessor;
use crate::processor::preprocessor_files::PreprocessorFiles;
use crate::processor::qwen2vl::Qwen2VlProcessor;
use crate::processor::tokenizer::ModelTokenizer;
use crate::processor::vision::VisionProcessor;

/// The processor of a folder; none for a text model. `config` is the model's config.json.
pub(crate) fn load(
    dir: &Path,
    config: &Value,
    tokenizer: &ModelTokenizer,
) -> Result<Option<Box<dyn VisionProcessor>>, Error> {
    let llava = LlavaProcessor::reads(config);
    if !llava && config["vision_config"].is_null() {
        return Ok(None);
    }
    let files = PreprocessorFiles::load(dir)?;
    Ok(Some(match llava {
        true => Box::new(LlavaProcessor::load(dir, config, &files, tokenizer)?),
        false => Box::new(Qwen2VlProcessor::load(dir, config, &files)?),
    }))
}
