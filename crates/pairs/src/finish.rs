//! Step `pairs`: `pairs.jsonl`, its pictures, and what became of each row.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use percept_base::files::write_atomic;
use percept_data::{Dataset, Media};
use percept_steps::{Folder, Row, io};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Answered;
use crate::pictures::{is_whole, media};
use crate::steps::rows::key;
use crate::{CandidateFile, PairsError, SourceRow, turns};

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Its line of `pairs.jsonl`.
    pub row: Value,
    /// Pictures of it in `images/`.
    pub files: Vec<String>,
    /// Whether it has rejected pictures.
    pub visual: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Whether the row had rejected pictures of its own, which are not in the line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub had_pictures: bool,
}

/// A row with what was decided about its pictures.
pub(crate) struct Decided {
    pub row: SourceRow,
    /// Rejected pictures, or why there are none.
    pub pictures: Result<Vec<CandidateFile>, String>,
    /// What the row says about the decision.
    pub decision: Value,
}

/// What rows are written with.
pub(crate) struct PairStep<'a> {
    pub data: &'a dyn Dataset,
    pub folder: &'a Folder,
    /// The output folder without links.
    pub base: PathBuf,
}

impl PairStep<'_> {
    /// Writes the pictures of one row, and makes its line.
    pub fn write(&self, decided: &Decided) -> Result<Row<Written>, PairsError> {
        let row = &decided.row;
        let key = key(row.at);
        let sample = self.data.get(row.at)?;
        let changed = || PairsError::Changed { id: row.id.clone() };
        let answered = Answered::of(&sample).ok_or_else(changed)?;
        let skipped = decided.pictures.as_ref().err().cloned();
        if let (Some(reason), true) = (&skipped, answered.rejected.is_empty()) {
            return Ok(Row::dropped(key, reason.clone()));
        }
        let mut files = Vec::new();
        let mut images = Vec::new();
        for number in 0..row.pictures.len() {
            let picture = media(self.data, row, number)?;
            let name = format!("images/{key}-{number}-real");
            images.push(self.place(&picture, &name, &mut files)?);
        }
        let mut rejected = Vec::new();
        for (number, made) in decided.pictures.iter().flatten().enumerate() {
            if !is_whole(self.folder, made) {
                return Err(changed());
            }
            let name = format!("images/{key}-{number}.png");
            if made.file != name {
                let from = self.folder.out.join(&made.file);
                let bytes = std::fs::read(&from).map_err(io(&from))?;
                write_atomic(&self.folder.out.join(&name), &bytes)?;
            }
            rejected.push(name.clone());
            files.push(name);
        }
        let line = turns::record(
            &sample,
            &answered,
            &images,
            &rejected,
            decided.decision.clone(),
        );
        let written = Written {
            row: line,
            files,
            visual: !rejected.is_empty(),
            skipped,
            had_pictures: (sample.preference.iter()).any(|p| !p.rejected_images.is_empty()),
        };
        Ok(Row::kept(key, written))
    }

    /// The path of a picture as `pairs.jsonl` names it. Files stay where they are; others are written.
    fn place(
        &self,
        picture: &Media,
        name: &str,
        files: &mut Vec<String>,
    ) -> Result<String, PairsError> {
        if let Some(path) = picture.path() {
            let path = path.canonicalize().map_err(io(path))?;
            let path = path.strip_prefix(&self.base).unwrap_or(&path);
            return Ok(path.to_string_lossy().into_owned());
        }
        let bytes = picture.outgoing()?;
        let ending = match &bytes[..] {
            [0xff, 0xd8, ..] => "jpg",
            [b'G', b'I', b'F', ..] => "gif",
            [b'R', b'I', b'F', b'F', ..] => "webp",
            [b'B', b'M', ..] => "bmp",
            _ => "png",
        };
        let name = format!("{name}.{ending}");
        write_atomic(&self.folder.out.join(&name), &bytes)?;
        files.push(name.clone());
        Ok(name)
    }

    /// Whether the pictures of a row are there.
    pub fn is_whole(&self, row: &Row<Written>) -> bool {
        let files = row.kept.iter().flat_map(|written| &written.files);
        let mut paths = files.map(|file| self.folder.out.join(file));
        paths.all(|path| path.is_file())
    }
}

/// Removes pictures of an earlier build with other settings.
pub(crate) fn remove_others(folder: &Folder, sub: &str, keep: &[&str]) -> Result<(), PairsError> {
    let path = folder.out.join(sub);
    for entry in std::fs::read_dir(&path).map_err(io(&path))? {
        let entry = entry.map_err(io(&path))?;
        let name = format!("{sub}/{}", entry.file_name().to_string_lossy());
        if is_ours(&name) && !keep.contains(&name.as_str()) {
            std::fs::remove_file(entry.path()).map_err(io(&entry.path()))?;
        }
    }
    Ok(())
}

/// `images/000012-0.png`: what a build names so, it may remove.
fn is_ours(name: &str) -> bool {
    let stem = Path::new(name)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    let (number, rest) = stem.split_once('-').unwrap_or_default();
    number.len() >= 6 && number.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty()
}

/// The counts of `summary.json`; `unread` rows got no further than the first step.
pub(crate) fn counts(rows: &[Row<Written>], unread: usize) -> Value {
    let kept: Vec<&Written> = rows.iter().filter_map(|row| row.kept.as_ref()).collect();
    let visual = kept.iter().filter(|written| written.visual).count();
    let had = kept.iter().filter(|written| written.had_pictures).count();
    json!({
        "visual_pairs": visual,
        "language_pairs": kept.len() - visual,
        "dropped": rows.len() - kept.len() + unread,
        "earlier_rejected_pictures_left_out": had,
    })
}

/// Why rows have no rejected picture: key → reason, from the steps that left them out.
pub(crate) type Reasons = HashMap<String, String>;
