//! A local program that segments.

use std::time::Duration;

use percept_data::coco::{Mask, Segmentation};
use serde_json::{Value, json};

use super::json_answer::{read, wrong};
use super::{Detection, Segmenter, Shown};
use crate::Error;
use crate::command::{CommandTool, file, save, scratch, text};

/// Segments by a program: `my-segmenter {image} {boxes}` gets the picture as PNG and a JSON file with a list of
/// `{"tag": …, "bbox": [left, top, width, height], "score": …}`, and prints a JSON list with a COCO segmentation for each
/// box, in their order: `{"size": [height, width], "counts": …}` as pycocotools' `encode` gives it, plain run lengths, or
/// polygons; an empty list of polygons where nothing was found.
#[derive(Debug, Clone)]
pub struct CommandSegmenter {
    tool: CommandTool,
}

impl CommandSegmenter {
    /// A segmenter by this command, with a deadline for each picture.
    ///
    /// # Errors
    /// A command without `{image}` or `{boxes}`, an empty one, and an open quote.
    pub fn new(command: &str, deadline: Duration) -> Result<Self, Error> {
        let tool = CommandTool::new(command, &["image", "boxes"], deadline)?;
        Ok(Self { tool })
    }
}

impl Segmenter for CommandSegmenter {
    fn identity(&self) -> Value {
        json!({"segmenter": "command", "command": self.tool.words()})
    }

    fn masks(&self, picture: &Shown<'_>, boxes: &[Detection]) -> Result<Vec<Mask>, Error> {
        let folder = scratch()?;
        let (image, listed) = (
            folder.path().join("image.png"),
            folder.path().join("boxes.json"),
        );
        save(picture.image, &image)?;
        std::fs::write(&listed, json!(boxes).to_string()).map_err(file(&listed))?;
        let said = self.tool.run(
            folder.path(),
            &[("image", &text(&image)), ("boxes", &text(&listed))],
        )?;
        let expected = format!("a JSON list of {} COCO segmentations", boxes.len());
        let outlines: Vec<Segmentation> = read(&self.tool, &said, &expected)?;
        if outlines.len() != boxes.len() {
            return Err(wrong(&self.tool, &said, &expected));
        }
        let (width, height) = picture.image.dimensions();
        let mask = |outline: &Segmentation| match outline {
            Segmentation::Polygons(polygons) if polygons.is_empty() => Ok(Mask::new(width, height)),
            outline => Ok(outline.mask(width, height)?),
        };
        outlines.iter().map(mask).collect()
    }
}
