//! Step `dataset`: `images/`, `qa.json`, the data card `README.md`, `report.html`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use percept_base::files::write_atomic;
use percept_data::Media;
use percept_steps::{Folder, Row, StepError, io, sha256};
use serde::{Deserialize, Serialize};

use percept_benchmarks::causal::Question;

use crate::pictures::{jpeg, png};
use crate::scene::Scene;
use crate::step::Step;
use crate::{BuildConfig, BuildError, ImageFormat, Questions};

/// JPEG quality of edits: colours are off by a level or two.
const QUALITY: u8 = 95;

/// An image of the data set.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub name: String,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// A file in the folder of images, as it was when it was edited.
    Original { file: String, sha256: String },
    /// A file of step `edit`.
    Edit { file: String, sha256: String },
}

/// A written image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// File in `images/`.
    pub name: String,
    pub sha256: String,
}

/// The images of the data set, originals once.
pub(crate) fn items(pairs: &[Questions]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut seen = BTreeSet::new();
    for questions in pairs {
        let record = &questions.pair.edit;
        if seen.insert(&questions.original_name) {
            items.push(Item {
                name: questions.original_name.clone(),
                source: Source::Original {
                    file: record.choice.role.file.clone(),
                    sha256: record.original_sha256.clone(),
                },
            });
        }
        items.push(Item {
            name: questions.edited_name.clone(),
            source: Source::Edit {
                file: record.edited.clone(),
                sha256: record.edited_sha256.clone(),
            },
        });
    }
    items
}

/// Two originals must not get one name (`a/1.jpg` and `a_1.jpg`).
pub(crate) fn check_names(pairs: &[Questions]) -> Result<(), BuildError> {
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    for questions in pairs {
        let file = questions.pair.edit.choice.role.file.as_str();
        match files.insert(&questions.original_name, file) {
            Some(other) if other != file => {
                return Err(BuildError::Config {
                    field: "images",
                    found: format!(
                        "{other} and {file}, which both become {}",
                        questions.original_name
                    ),
                    expected: "names that differ in more than signs",
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes one image.
pub(crate) fn write(
    item: &Item,
    folder: &Folder,
    scene: &Scene<'_>,
    config: &BuildConfig,
) -> Result<Row<Written>, BuildError> {
    let (media, expected) = match &item.source {
        Source::Original { file, sha256 } => (scene.picture(file), sha256),
        Source::Edit { file, sha256 } => (Media::from_path(folder.out.join(file)), sha256),
    };
    let bytes = media.outgoing()?;
    if sha256(&bytes) != *expected {
        return Err(StepError::Step {
            path: media
                .path()
                .map_or_else(String::new, |path| path.display().to_string()),
            row: None,
            what: "the file is not the one that was edited".into(),
            help: "do the edits again: --from edit",
        }
        .into());
    }
    let is_jpeg = bytes.starts_with(&[0xff, 0xd8]);
    let is_png = bytes.starts_with(b"\x89PNG");
    let bytes = match config.image_format {
        ImageFormat::Png if is_png => bytes.to_vec(),
        ImageFormat::Jpeg if is_jpeg => bytes.to_vec(),
        ImageFormat::Png => png(&media.decode()?)?,
        ImageFormat::Jpeg => jpeg(&media.decode()?, QUALITY)?,
    };
    write_atomic(&folder.out.join("images").join(&item.name), &bytes)?;
    let written = Written {
        name: item.name.clone(),
        sha256: sha256(&bytes),
    };
    Ok(Row::kept(item.name.clone(), written))
}

/// Removes images of an earlier build with other settings.
pub(crate) fn remove_others(folder: &Folder, items: &[Item]) -> Result<(), BuildError> {
    let names: BTreeSet<&str> = items.iter().map(|item| item.name.as_str()).collect();
    let images = folder.out.join("images");
    for entry in std::fs::read_dir(&images).map_err(io(&images))? {
        let entry = entry.map_err(io(&images))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = name.ends_with(".png") || name.ends_with(".jpg");
        if ours && !names.contains(name.as_ref()) {
            std::fs::remove_file(entry.path()).map_err(io(&entry.path()))?;
        }
    }
    Ok(())
}

/// The questions as the official `qa.json` has them.
pub(crate) fn write_questions(out: &Path, pairs: &[Questions]) -> Result<(), BuildError> {
    let questions: Vec<&Question> = pairs.iter().flat_map(|p| &p.questions).collect();
    let mut text = serde_json::to_vec_pretty(&questions).unwrap_or_default();
    text.push(b'\n');
    Ok(write_atomic(&out.join("qa.json"), &text)?)
}

/// The step whose rows list the images.
pub(crate) const STEP: Step = Step::Dataset;
