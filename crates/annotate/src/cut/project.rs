//! The folder of annotations: what was cut, and of which clips.
//!
//! | file | what |
//! |---|---|
//! | `project.json` | of which clips and times the pairs were cut |
//! | `pairs.jsonl` | a [`FramePair`] a line |
//! | `frames/` | their pictures |
//! | `actions.jsonl` | what annotators and reviewers did, a line each |

use std::fs;
use std::path::{Path, PathBuf};

use percept_base::files::{FileError, write_atomic};
use percept_base::random::fnv1a;
use serde::{Deserialize, Serialize};

use crate::clips::ClipPair;
use crate::cut::frame_pair::FramePair;
use crate::cut::frames::cut;
use crate::cut::times::Times;
use crate::error::Error;

const PROJECT: &str = "project.json";
const PAIRS: &str = "pairs.jsonl";

/// Frame pairs in their folder.
#[derive(Debug, Clone)]
pub struct Project {
    folder: PathBuf,
    key: String,
    pairs: Vec<FramePair>,
}

/// `project.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Made {
    /// A number of clips, prompts and times: equal plans have equal ones.
    plan: String,
    /// For people.
    what: String,
}

impl Project {
    /// Opens the folder, or cuts the frames into it. `tell` hears how many pairs of clips are done, of how many.
    ///
    /// # Errors
    /// A clip that cannot be read, a time beyond its end, a folder that holds other pairs, and the disk.
    pub fn cut(
        folder: &Path,
        clips: &[ClipPair],
        times: &Times,
        tell: &mut dyn FnMut(usize, usize),
    ) -> Result<Self, Error> {
        let made = plan(clips, times);
        if let Some(found) = read_made(folder)? {
            if found != made {
                return Err(Error::OtherPairs {
                    path: folder.to_path_buf(),
                    found: found.what,
                    expected: made.what,
                });
            }
            return Self::open(folder);
        }
        let mut pairs = Vec::new();
        for (at, clip) in clips.iter().enumerate() {
            pairs.extend(cut(clip, at + 1, times, folder)?);
            tell(at + 1, clips.len());
        }
        let lines: Vec<String> = pairs.iter().map(line).collect();
        write_atomic(&folder.join(PAIRS), lines.concat().as_bytes())?;
        // Last: a folder that has it is whole.
        write_atomic(&folder.join(PROJECT), line(&made).as_bytes())?;
        Ok(Self {
            folder: folder.to_path_buf(),
            key: made.plan,
            pairs,
        })
    }

    /// Opens a folder that was cut before.
    ///
    /// # Errors
    /// [`Error::NotAProject`] and those of reading.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let not = |reason: String| Error::NotAProject {
            path: folder.to_path_buf(),
            reason,
        };
        let made = read_made(folder)?.ok_or_else(|| not(format!("no {PROJECT}")))?;
        let path = folder.join(PAIRS);
        let text = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
        let pairs = text.lines().enumerate().map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| not(format!("{PAIRS}:{}: {error}", at + 1)))
        });
        Ok(Self {
            folder: folder.to_path_buf(),
            key: made.plan,
            pairs: pairs.collect::<Result<_, _>>()?,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells projects apart that a browser meets at one address.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The pairs, in their order.
    pub fn pairs(&self) -> &[FramePair] {
        &self.pairs
    }
}

fn line<T: Serialize>(value: &T) -> String {
    // Maps with keys that are text, and no numbers but finite ones: nothing here fails.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

fn plan(clips: &[ClipPair], times: &Times) -> Made {
    let what = format!("{} pairs of clips, {}", clips.len(), times.describe());
    let all = clips.iter().map(line).collect::<String>() + &what;
    Made {
        plan: format!("{:016x}", fnv1a(all.bytes())),
        what,
    }
}

fn read_made(folder: &Path) -> Result<Option<Made>, Error> {
    let path = folder.join(PROJECT);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
    let made = serde_json::from_str(&text).map_err(|error| Error::NotAProject {
        path: folder.to_path_buf(),
        reason: format!("{PROJECT}: {error}"),
    })?;
    Ok(Some(made))
}
