//! A local program that tags.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::json_answer::{read, wrong};
use super::{Shown, Tag, Tagger};
use crate::Error;
use crate::command::{CommandTool, save, scratch, text};

/// Tags by a program: `my-tagger {image}` gets the picture as PNG and prints a JSON list of names, or of
/// `{"tag": "dog", "score": 0.9}`.
#[derive(Debug, Clone)]
pub struct CommandTagger {
    tool: CommandTool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Name(String),
    Scored(Tag),
}

impl CommandTagger {
    /// A tagger by this command, with a deadline for each picture.
    ///
    /// # Errors
    /// A command without `{image}`, an empty one, and an open quote.
    pub fn new(command: &str, deadline: Duration) -> Result<Self, Error> {
        let tool = CommandTool::new(command, &["image"], deadline)?;
        Ok(Self { tool })
    }
}

impl Tagger for CommandTagger {
    fn identity(&self) -> Value {
        json!({"tagger": "command", "command": self.tool.words()})
    }

    fn tags(&self, picture: &Shown<'_>) -> Result<Vec<Tag>, Error> {
        let folder = scratch()?;
        let image = folder.path().join("image.png");
        save(picture.image, &image)?;
        let said = self.tool.run(folder.path(), &[("image", &text(&image))])?;
        let expected = r#"a JSON list of names, or of {"tag": "dog", "score": 0.9}"#;
        let tags: Vec<Said> = read(&self.tool, &said, expected)?;
        let tags = tags.into_iter().map(|tag| match tag {
            Said::Name(tag) => Tag { tag, score: 1.0 },
            Said::Scored(tag) => tag,
        });
        let tags: Vec<Tag> = tags.collect();
        match tags.iter().all(|tag| tag.score.is_finite()) {
            true => Ok(tags),
            false => Err(wrong(&self.tool, &said, "finite scores")),
        }
    }
}
