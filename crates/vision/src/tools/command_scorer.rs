//! A local program that scores texts by a picture.

use std::time::Duration;

use serde_json::{Value, json};

use super::json_answer::{read, wrong};
use super::{TextImageScorer, View};
use crate::Error;
use crate::command::{CommandTool, file, save, scratch, text};

/// Scores by a program: `my-clip {image} {texts}` gets the picture as PNG and a JSON file with a list of texts, and prints
/// a JSON list of numbers, one for each; null for a text that it makes nothing of.
#[derive(Debug, Clone)]
pub struct CommandTextScorer {
    tool: CommandTool,
}

impl CommandTextScorer {
    /// A scorer by this command, with a deadline for each picture.
    ///
    /// # Errors
    /// A command without `{image}` or `{texts}`, an empty one, and an open quote.
    pub fn new(command: &str, deadline: Duration) -> Result<Self, Error> {
        let tool = CommandTool::new(command, &["image", "texts"], deadline)?;
        Ok(Self { tool })
    }
}

impl TextImageScorer for CommandTextScorer {
    fn identity(&self) -> Value {
        json!({"scorer": "command", "command": self.tool.words()})
    }

    fn similarities(&self, view: &View<'_>, texts: &[&str]) -> Result<Vec<Option<f64>>, Error> {
        let folder = scratch()?;
        let (image, listed) = (
            folder.path().join("image.png"),
            folder.path().join("texts.json"),
        );
        save(view.image, &image)?;
        std::fs::write(&listed, json!(texts).to_string()).map_err(file(&listed))?;
        let said = self.tool.run(
            folder.path(),
            &[("image", &text(&image)), ("texts", &text(&listed))],
        )?;
        let expected = format!("a JSON list of {} finite numbers", texts.len());
        let scores: Vec<Option<f64>> = read(&self.tool, &said, &expected)?;
        match scores.len() == texts.len() && scores.iter().flatten().all(|s| s.is_finite()) {
            true => Ok(scores),
            false => Err(wrong(&self.tool, &said, &expected)),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::{
        CommandDetector, CommandSegmenter, CommandTagger, Detection, Detector, Segmenter, Shown,
        Tagger,
    };
    use super::*;
    use image::RgbImage;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn programs_get_what_they_are_promised_and_their_answers_are_checked() {
        let image = RgbImage::new(4, 3);
        let shown = Shown {
            image: &image,
            file: None,
            image_id: None,
        };
        let tagger = |said: &str| {
            CommandTagger::new(
                &format!("sh -c 'test -s \"$1\" && echo \"$2\"' sh {{image}} '{said}'"),
                LIMIT,
            )
            .unwrap()
            .tags(&shown)
        };
        let tags = tagger(r#"["cup", {"tag": "bed", "score": 0.5}]"#).unwrap();
        assert_eq!((tags[0].score, tags[1].score), (1.0, 0.5));
        for nonsense in [
            "cup",
            r#"[{"tag": 1}]"#,
            r#"{"tag": "cup"}"#,
            r#"[{"tag": "a", "score": 1e999}]"#,
        ] {
            assert!(
                matches!(tagger(nonsense), Err(Error::Command { .. })),
                "{nonsense}"
            );
        }
        let found = r#"[{"tag": "cup", "bbox": [0, 0, 2, 2], "score": 0.9}]"#;
        let command = format!(
            "sh -c 'grep -q \"wine glass\" \"$2\" && echo \"$3\"' sh {{image}} {{tags}} '{found}'"
        );
        let detector = CommandDetector::new(&command, LIMIT).unwrap();
        let boxes: Vec<Detection> = detector.detect(&shown, &["cup", "wine glass"]).unwrap();
        assert_eq!(boxes[0].bbox, [0.0, 0.0, 2.0, 2.0]);
        let segmenter = |said: &str| {
            let command = format!(
                "sh -c 'grep -q bbox \"$2\" && echo \"$3\"' sh {{image}} {{boxes}} '{said}'"
            );
            CommandSegmenter::new(&command, LIMIT)
                .unwrap()
                .masks(&shown, &boxes)
        };
        let masks = segmenter(r#"[{"size": [3, 4], "counts": [0, 2, 10]}]"#).unwrap();
        assert_eq!(masks[0].area(), 2);
        assert!(segmenter("[[]]").unwrap()[0].is_empty());
        assert!(segmenter("[]").is_err());
        assert!(segmenter(r#"[{"size": [9, 9], "counts": [81]}]"#).is_err());
        let view = View {
            image: &image,
            objects: &[],
            removed: None,
        };
        let scores = |said: &str| {
            let command = format!(
                "sh -c 'grep -q sits \"$2\" && echo \"$3\"' sh {{image}} {{texts}} '{said}'"
            );
            let scorer = CommandTextScorer::new(&command, LIMIT).unwrap();
            scorer.similarities(&view, &["a cat sits", "so"])
        };
        assert_eq!(scores("[24.5, null]").unwrap(), [Some(24.5), None]);
        assert!(scores("[1]").is_err() && scores("[1, \"x\"]").is_err());
    }
}
