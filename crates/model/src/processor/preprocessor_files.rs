//! Where a folder keeps what its processor reads of pictures: transformers 5 writes all into processor_config.json, the hub
//! has a file for each.

use std::path::Path;

use serde_json::Value;

use crate::Error;
use crate::processor::errors::bad;
use crate::processor::files::json_file;

/// The content of these files.
pub(crate) struct PreprocessorFiles {
    /// processor_config.json; none where the folder has none.
    pub(crate) processor: Option<Value>,
    /// preprocessor_config.json, or what stands for it.
    pub(crate) images: Value,
}

impl PreprocessorFiles {
    pub(crate) fn load(dir: &Path) -> Result<Self, Error> {
        let mut files = Self {
            processor: json_file(&dir.join("processor_config.json"))?,
            images: Value::Null,
        };
        let name = "preprocessor_config.json";
        let Some(images) = files.part(dir, "image_processor", name)? else {
            return Err(bad(
                dir.join(name).display(),
                "missing; a vision-language model needs it".into(),
            ));
        };
        files.images = images;
        Ok(files)
    }

    /// A part of processor_config.json, else the file of its own.
    pub(crate) fn part(&self, dir: &Path, part: &str, file: &str) -> Result<Option<Value>, Error> {
        let together = self.processor.as_ref().map(|all| &all[part]);
        match together.filter(|part| part.is_object()) {
            Some(part) => Ok(Some(part.clone())),
            None => json_file(&dir.join(file)),
        }
    }
}
