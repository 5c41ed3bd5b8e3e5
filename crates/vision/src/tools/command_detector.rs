//! A local program that finds things.

use std::time::Duration;

use serde_json::{Value, json};

use super::json_answer::{read, wrong};
use super::{Detection, Detector, Shown};
use crate::Error;
use crate::command::{CommandTool, file, save, scratch, text};

/// Finds by a program: `my-detector {image} {tags}` gets the picture as PNG and a text file with one tag a line, and
/// prints a JSON list of `{"tag": "dog", "bbox": [left, top, width, height], "score": 0.8}`, in pixels, with
/// `"text_score"` where it has one.
#[derive(Debug, Clone)]
pub struct CommandDetector {
    tool: CommandTool,
}

impl CommandDetector {
    /// A detector by this command, with a deadline for each picture.
    ///
    /// # Errors
    /// A command without `{image}` or `{tags}`, an empty one, and an open quote.
    pub fn new(command: &str, deadline: Duration) -> Result<Self, Error> {
        let tool = CommandTool::new(command, &["image", "tags"], deadline)?;
        Ok(Self { tool })
    }
}

impl Detector for CommandDetector {
    fn identity(&self) -> Value {
        json!({"detector": "command", "command": self.tool.words()})
    }

    fn detect(&self, picture: &Shown<'_>, tags: &[&str]) -> Result<Vec<Detection>, Error> {
        let folder = scratch()?;
        let (image, names) = (
            folder.path().join("image.png"),
            folder.path().join("tags.txt"),
        );
        save(picture.image, &image)?;
        std::fs::write(&names, tags.join("\n")).map_err(file(&names))?;
        let said = self.tool.run(
            folder.path(),
            &[("image", &text(&image)), ("tags", &text(&names))],
        )?;
        let expected =
            r#"a JSON list of {"tag": "dog", "bbox": [left, top, width, height], "score": 0.8}"#;
        let found: Vec<Detection> = read(&self.tool, &said, expected)?;
        let finite = |d: &Detection| d.score.is_finite() && d.bbox.iter().all(|b| b.is_finite());
        match found.iter().all(finite) {
            true => Ok(found),
            false => Err(wrong(&self.tool, &said, "finite numbers")),
        }
    }
}
