//! How much a picture shows of a class.

use std::time::Duration;

use image::RgbImage;
use serde_json::{Value, json};

use crate::Error;
use crate::command::{CommandTool, file, save, scratch, text};

/// Scores classes in a picture, like CLIP: the higher, the more there is of it. Only differences
/// between scores of one scorer mean something.
pub trait ClassScorer: Send + Sync {
    /// What scores, as far as the numbers depend on it.
    fn identity(&self) -> Value;

    /// One score for each class.
    ///
    /// # Errors
    /// What can go wrong with the scorer.
    fn scores(&self, image: &RgbImage, classes: &[&str]) -> Result<Vec<f64>, Error>;

    /// Pictures under way at once that the scorer can use.
    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// Whether a score says that a class is there (1) or not (0), as a detector does.
    fn detects(&self) -> bool {
        false
    }
}

/// Scores by a program: `my-clip {image} {classes}`, where `{classes}` is a text file with one
/// class a line; it prints a JSON list of numbers, one for each.
#[derive(Debug, Clone)]
pub struct CommandScorer {
    tool: CommandTool,
}

impl CommandScorer {
    /// A scorer by this command, with a deadline for each picture.
    ///
    /// # Errors
    /// A command without `{image}` or `{classes}`, an empty one, and an open quote.
    pub fn new(command: &str, deadline: Duration) -> Result<Self, Error> {
        let tool = CommandTool::new(command, &["image", "classes"], deadline)?;
        Ok(Self { tool })
    }
}

impl ClassScorer for CommandScorer {
    fn identity(&self) -> Value {
        json!({"scorer": "command", "command": self.tool.words()})
    }

    fn scores(&self, image: &RgbImage, classes: &[&str]) -> Result<Vec<f64>, Error> {
        let folder = scratch()?;
        let (picture, names) = (
            folder.path().join("image.png"),
            folder.path().join("classes.txt"),
        );
        save(image, &picture)?;
        std::fs::write(&names, classes.join("\n")).map_err(file(&names))?;
        let (picture, names) = (text(&picture), text(&names));
        let said = self
            .tool
            .run(folder.path(), &[("image", &picture), ("classes", &names)])?;
        match serde_json::from_str::<Vec<f64>>(said.trim()) {
            Ok(scores) if scores.len() == classes.len() => Ok(scores),
            _ => Err(Error::Command {
                program: self.tool.words()[0].clone(),
                what: format!(
                    "printed `{}`; expected a JSON list of {} numbers",
                    said.trim().chars().take(120).collect::<String>(),
                    classes.len()
                ),
                stderr: String::new(),
            }),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn as_many_numbers_as_classes_are_wanted() {
        let image = RgbImage::new(3, 3);
        let scorer = |command: &str| CommandScorer::new(command, Duration::from_secs(20)).unwrap();
        let good = scorer("sh -c 'grep -c . \"$2\" >&2; echo [26.5, 22]' sh {image} {classes}");
        assert_eq!(
            good.scores(&image, &["person", "bear"]).unwrap(),
            [26.5, 22.0]
        );
        let error = good.scores(&image, &["person"]).unwrap_err().to_string();
        assert!(error.contains("list of 1 numbers"), "{error}");
        assert!(
            scorer("echo {image} {classes}")
                .scores(&image, &["a"])
                .is_err()
        );
    }
}
