//! The files of the steps: what is finished, what is half-way, what must be done again.
//!
//! | file | what |
//! |---|---|
//! | `steps/NN-name.jsonl` | the rows of a finished step, in the order of what it read |
//! | `steps/NN-name.done.json` | of what they were made (`key`) and their SHA-256; written last |
//! | `steps/NN-name.log.jsonl` | rows of an unfinished step in the order in which they were done |
//!
//! A step's key is the SHA-256 of its settings and of the rows that it read, so that a change
//! anywhere before it shows.

use std::path::{Path, PathBuf};

use percept_base::files::{recover, write_atomic};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::BuildError;
use crate::error::io;
use crate::hash::sha256;
use crate::lines::line;
use crate::step::Step;

/// What is known of a finished step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub key: String,
    pub sha256: String,
}

/// The folder of a benchmark.
#[derive(Debug)]
pub(crate) struct Folder {
    pub out: PathBuf,
}

impl Folder {
    /// Makes the folder, or takes one over without the unfinished files of a killed build.
    pub fn open(out: &Path) -> Result<Self, BuildError> {
        let folder = Self { out: out.into() };
        for sub in ["steps", "edits", "images"] {
            let path = out.join(sub);
            std::fs::create_dir_all(&path).map_err(io(&path))?;
            recover(&path)?;
        }
        recover(out)?;
        Ok(folder)
    }

    pub fn file(&self, step: Step, ending: &str) -> PathBuf {
        let name = format!("{:02}-{}{ending}", step as usize + 1, step.name());
        self.out.join("steps").join(name)
    }

    /// The rows of a step.
    pub fn rows_file(&self, step: Step) -> PathBuf {
        self.file(step, ".jsonl")
    }

    /// The key of a step with these settings that reads `source` (of a SHA-256).
    pub fn key(step: Step, settings: &Value, source: &str) -> String {
        sha256(
            json!({"step": step.name(), "settings": settings, "source": source})
                .to_string()
                .as_bytes(),
        )
    }

    /// What a step finished with, when it was made of `key` and its rows are as it wrote them.
    pub fn finished(&self, step: Step, key: &str) -> Option<Done> {
        let text = std::fs::read(self.file(step, ".done.json")).ok()?;
        let done: Done = serde_json::from_slice(&text).ok()?;
        let rows = std::fs::read(self.rows_file(step)).ok()?;
        (done.key == key && done.sha256 == sha256(&rows)).then_some(done)
    }

    /// Forgets that a step was done, and what it did half.
    pub fn forget(&self, step: Step) -> Result<(), BuildError> {
        self.remove(step, ".done.json")?;
        self.forget_log(step)
    }

    /// Forgets what a step did half.
    pub fn forget_log(&self, step: Step) -> Result<(), BuildError> {
        self.remove(step, ".log.jsonl")
    }

    fn remove(&self, step: Step, ending: &str) -> Result<(), BuildError> {
        let path = self.file(step, ending);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(&path)(e)),
            _ => Ok(()),
        }
    }

    /// Writes the rows of a step, then that it is done.
    pub fn finish(&self, step: Step, key: &str, rows: &[u8]) -> Result<Done, BuildError> {
        write_atomic(&self.rows_file(step), rows)?;
        let done = Done {
            key: key.to_owned(),
            sha256: sha256(rows),
        };
        write_atomic(&self.file(step, ".done.json"), &line(&done))?;
        self.forget_log(step)?;
        Ok(done)
    }

    /// The rows of a finished step.
    pub fn read<T: DeserializeOwned>(&self, step: Step) -> Result<Vec<T>, BuildError> {
        let path = self.rows_file(step);
        let text = std::fs::read_to_string(&path).map_err(io(&path))?;
        let parse = |(at, text): (usize, &str)| {
            serde_json::from_str(text).map_err(|e| BuildError::Step {
                path: path.display().to_string(),
                row: Some(at + 1),
                what: format!("not a row of this step: {e}"),
                help: "do this step again: --from NAME",
            })
        };
        text.lines().enumerate().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_were_touched_are_not_finished() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let done = folder.finish(Step::Roles, "k", b"{}\n").unwrap();
        assert_eq!(folder.finished(Step::Roles, "k"), Some(done));
        assert_eq!(folder.finished(Step::Roles, "l"), None);
        std::fs::write(folder.rows_file(Step::Roles), b"{ }\n").unwrap();
        assert_eq!(folder.finished(Step::Roles, "k"), None);
    }
}
