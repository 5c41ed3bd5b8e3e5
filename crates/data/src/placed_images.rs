//! Pictures of a data set that is written: files stay where they are, others go to a folder beside it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::export::{ending, text_part_json, turn_json};
use crate::{Error, Media, Message, Part, Sample};

/// Where the pictures of a data set are, as its rows name them.
#[derive(Debug)]
pub struct PlacedImages {
    /// Folder of the data set; relative paths start here.
    base: PathBuf,
    /// Name of the folder for pictures that are no files.
    name: String,
    written: HashSet<String>,
}

/// Turns as JSON, and the media that they show in their order.
#[derive(Debug)]
pub struct ShownTurns {
    /// `[{"role": …, "content": [parts]}]`.
    pub turns: Value,
    /// Paths of the images, from the data set's folder where they are in it.
    pub images: Vec<String>,
    /// `{"frames": [paths], "fps": …}`.
    pub videos: Vec<Value>,
}

impl PlacedImages {
    /// Pictures of the data set `out`, whose folder is made if needed. Those that are no files go to `STEM.images` beside it,
    /// named by their content.
    ///
    /// # Errors
    /// [`Error::File`] when the folder cannot be made.
    pub fn beside(out: &Path) -> Result<Self, Error> {
        let folder = match out.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let disk = |e: std::io::Error| Error::file(format!("cannot be made: {e}")).in_file(folder);
        std::fs::create_dir_all(folder).map_err(disk)?;
        let stem = out.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            base: folder.canonicalize().map_err(disk)?,
            name: format!("{stem}.images"),
            written: HashSet::new(),
        })
    }

    /// The path of an image as the data set names it.
    ///
    /// # Errors
    /// An image that is no file, and may not be copied or cannot be written.
    pub fn place(&mut self, image: &Media) -> Result<String, Error> {
        if let Some(path) = image.path() {
            let found = path.canonicalize().or_else(|_| std::path::absolute(path));
            let found =
                found.map_err(|e| Error::file(format!("cannot be found: {e}")).in_file(path))?;
            let path = found.strip_prefix(&self.base).unwrap_or(&found);
            return Ok(path.display().to_string());
        }
        let bytes = image.outgoing()?;
        let hash = u128::from_be_bytes(std::array::from_fn({
            let hash = image.hash()?;
            move |at| hash[at]
        }));
        let name = format!("{}/{hash:032x}.{}", self.name, ending(&bytes));
        if self.written.insert(name.clone()) {
            let path = self.base.join(&name);
            percept_base::files::write_atomic(&path, &bytes)
                .map_err(|e| Error::file(e.to_string()).in_file(&path))?;
        }
        Ok(name)
    }

    /// The turns with their media placed.
    ///
    /// # Errors
    /// Those of [`PlacedImages::place`].
    pub fn conversation(
        &mut self,
        sample: &Sample,
        messages: &[Message],
    ) -> Result<ShownTurns, Error> {
        let (mut turns, mut images, mut videos) = (Vec::new(), Vec::new(), Vec::new());
        for message in messages {
            let mut content = Vec::new();
            for part in &message.content {
                content.push(match part {
                    Part::Text(text) => text_part_json(text),
                    Part::Image(at) => {
                        if let Some(image) = sample.images.get(*at) {
                            images.push(self.place(image)?);
                        }
                        json!({"type": "image"})
                    }
                    Part::Video(at) => {
                        if let Some(video) = sample.videos.get(*at) {
                            let frames = video.frames.iter().map(|frame| self.place(frame));
                            let frames = frames.collect::<Result<Vec<_>, _>>()?;
                            videos.push(json!({"frames": frames, "fps": video.fps}));
                        }
                        json!({"type": "video"})
                    }
                });
            }
            turns.push(turn_json(message, content));
        }
        Ok(ShownTurns {
            turns: turns.into(),
            images,
            videos,
        })
    }
}
