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

use crate::error::io;
use crate::hash::sha256;
use crate::lines::line;
use crate::{StepError, StepId};

/// What is known of a finished step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// SHA-256 of what the rows were made of.
    pub key: String,
    /// SHA-256 of the rows.
    pub sha256: String,
}

/// An output folder with its steps.
#[derive(Debug)]
pub struct Folder {
    /// The folder.
    pub out: PathBuf,
}

impl Folder {
    /// Makes the folder, its `steps` and these others in it, or takes them over without the unfinished files of a killed
    /// process.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(out: &Path, others: &[&str]) -> Result<Self, StepError> {
        let folder = Self { out: out.into() };
        for sub in std::iter::once(&"steps").chain(others) {
            let path = out.join(sub);
            std::fs::create_dir_all(&path).map_err(io(&path))?;
            recover(&path)?;
        }
        recover(out)?;
        Ok(folder)
    }

    /// A file of a step, by its ending.
    pub fn file(&self, step: impl Into<StepId>, ending: &str) -> PathBuf {
        let step = step.into();
        let name = format!("{:02}-{}{ending}", step.number, step.name);
        self.out.join("steps").join(name)
    }

    /// The rows of a step.
    pub fn rows_file(&self, step: impl Into<StepId>) -> PathBuf {
        self.file(step, ".jsonl")
    }

    /// The key of a step with these settings that reads `source` (of a SHA-256).
    pub fn key(step: impl Into<StepId>, settings: &Value, source: &str) -> String {
        sha256(
            json!({"step": step.into().name, "settings": settings, "source": source})
                .to_string()
                .as_bytes(),
        )
    }

    /// What a step finished with, when it was made of `key` and its rows are as it wrote them.
    pub fn finished(&self, step: impl Into<StepId>, key: &str) -> Option<Done> {
        let step = step.into();
        let text = std::fs::read(self.file(step, ".done.json")).ok()?;
        let done: Done = serde_json::from_slice(&text).ok()?;
        let rows = std::fs::read(self.rows_file(step)).ok()?;
        (done.key == key && done.sha256 == sha256(&rows)).then_some(done)
    }

    /// Forgets that a step was done, and what it did half.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn forget(&self, step: impl Into<StepId>) -> Result<(), StepError> {
        let step = step.into();
        self.remove(step, ".done.json")?;
        self.forget_log(step)
    }

    /// Forgets what a step did half.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn forget_log(&self, step: impl Into<StepId>) -> Result<(), StepError> {
        self.remove(step.into(), ".log.jsonl")
    }

    fn remove(&self, step: StepId, ending: &str) -> Result<(), StepError> {
        let path = self.file(step, ending);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(&path)(e)),
            _ => Ok(()),
        }
    }

    /// Writes the rows of a step, then that it is done.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(
        &self,
        step: impl Into<StepId>,
        key: &str,
        rows: &[u8],
    ) -> Result<Done, StepError> {
        let step = step.into();
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
    ///
    /// # Errors
    /// A file that is not there, or holds what is no such row; the message names the line.
    pub fn read<T: DeserializeOwned>(&self, step: impl Into<StepId>) -> Result<Vec<T>, StepError> {
        let path = self.rows_file(step);
        let text = std::fs::read_to_string(&path).map_err(io(&path))?;
        let parse = |(at, text): (usize, &str)| {
            serde_json::from_str(text).map_err(|e| StepError::Step {
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

    const ROLES: StepId = StepId {
        number: 2,
        name: "roles",
    };

    #[test]
    fn rows_that_were_touched_are_not_finished() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path(), &["edits"]).unwrap();
        let done = folder.finish(ROLES, "k", b"{}\n").unwrap();
        assert_eq!(folder.finished(ROLES, "k"), Some(done));
        assert_eq!(folder.finished(ROLES, "l"), None);
        std::fs::write(folder.rows_file(ROLES), b"{ }\n").unwrap();
        assert_eq!(folder.finished(ROLES, "k"), None);
    }
}
