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

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use percept_report::{recover, write_atomic};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{BuildError, Row};

/// The steps, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// How often classes occur together.
    Statistics,
    /// Target, contextual object and candidates of each image.
    Roles,
    /// The counterfactual object and the description of the edit.
    Choice,
    /// The edit.
    Edit,
    /// What was wanted against what came.
    Quality,
    /// The questions.
    Questions,
    /// Images, `qa.json`, data card, report.
    Dataset,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 7] = [
        Self::Statistics,
        Self::Roles,
        Self::Choice,
        Self::Edit,
        Self::Quality,
        Self::Questions,
        Self::Dataset,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Statistics => "statistics",
            Self::Roles => "roles",
            Self::Choice => "choice",
            Self::Edit => "edit",
            Self::Quality => "quality",
            Self::Questions => "questions",
            Self::Dataset => "dataset",
        }
    }

    /// The step of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// What is known of a finished step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    pub key: String,
    pub sha256: String,
}

/// The folder of a benchmark.
#[derive(Debug)]
pub(super) struct Folder {
    pub out: PathBuf,
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
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

    fn file(&self, step: Step, ending: &str) -> PathBuf {
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

    /// Decides about every item, `at_once` at a time, and writes the rows in their order. Rows
    /// that an earlier process logged under the same key are taken over, if `whole` accepts them.
    pub fn decide<I: Sync, T>(
        &self,
        work: &Work<'_, I>,
        whole: impl Fn(&Row<T>) -> bool,
        decide: impl Fn(&I) -> Result<Row<T>, BuildError> + Sync,
    ) -> Result<Vec<Row<T>>, BuildError>
    where
        T: Serialize + DeserializeOwned + Send,
    {
        let path = self.file(work.step, ".log.jsonl");
        let earlier = logged(&path, work.key);
        let log = Log::begin(&path, work.key, earlier.is_some())?;
        let mut earlier = earlier.unwrap_or_default();
        earlier.retain(|_, row| whole(row));
        let rows = work
            .items
            .iter()
            .map(|item| earlier.remove(&(work.id)(item)));
        let rows: Vec<Option<Row<T>>> = rows.collect();
        let open: Vec<usize> = (0..rows.len()).filter(|&at| rows[at].is_none()).collect();
        let next = AtomicUsize::new(0);
        let done = AtomicUsize::new(rows.len() - open.len());
        (work.progress)(work.step, done.load(Ordering::SeqCst), rows.len());
        let total = rows.len();
        let shared = Mutex::new((log, rows, None::<BuildError>));
        let one_by_one = || {
            loop {
                let Some(&at) = open.get(next.fetch_add(1, Ordering::SeqCst)) else {
                    return;
                };
                let decided = decide(&work.items[at]);
                let mut shared = shared.lock().unwrap_or_else(|e| e.into_inner());
                let (log, rows, error) = &mut *shared;
                let logged = decided.and_then(|row| {
                    log.add(&row)?;
                    rows[at] = Some(row);
                    Ok(())
                });
                if let Err(e) = logged {
                    error.get_or_insert(e);
                    next.store(open.len(), Ordering::SeqCst);
                    return;
                }
                (work.progress)(work.step, done.fetch_add(1, Ordering::SeqCst) + 1, total);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..work.at_once.min(open.len()) {
                let spawned = std::thread::Builder::new().spawn_scoped(scope, one_by_one);
                spawned.map_err(BuildError::Thread)?;
            }
            one_by_one();
            Ok::<(), BuildError>(())
        })?;
        let (_, rows, error) = shared.into_inner().unwrap_or_else(|e| e.into_inner());
        match error {
            Some(error) => Err(error),
            None => Ok(rows.into_iter().flatten().collect()),
        }
    }
}

/// What [`Folder::decide`] has to do.
pub(super) struct Work<'a, I> {
    pub step: Step,
    pub key: &'a str,
    pub items: &'a [I],
    pub id: fn(&I) -> String,
    pub at_once: usize,
    pub progress: &'a super::Progress<'a>,
}

/// Rows one a line.
pub(super) fn lines<T: Serialize>(rows: &[T]) -> Vec<u8> {
    rows.iter().flat_map(line).collect()
}

fn line<T: Serialize>(row: &T) -> Vec<u8> {
    // Rows have string keys and finite numbers: they always are JSON.
    let mut text = serde_json::to_vec(row).unwrap_or_default();
    text.push(b'\n');
    text
}

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> BuildError {
    let path = path.display().to_string();
    move |e| BuildError::Step {
        path,
        row: None,
        what: e.to_string(),
        help: "check that the folder is there and writable",
    }
}

/// The rows of an unfinished step; `None` when there is no log made of `key`. A line that was cut
/// by a kill is no row.
fn logged<T: DeserializeOwned>(path: &Path, key: &str) -> Option<HashMap<String, Row<T>>> {
    let text = std::fs::read(path).ok()?;
    let mut lines = text.split(|&b| b == b'\n');
    let head: Value = serde_json::from_slice(lines.next()?).ok()?;
    if head["key"] != key {
        return None;
    }
    let rows = lines.filter_map(|l| serde_json::from_slice::<Row<T>>(l).ok());
    Some(rows.map(|row| (row.id.clone(), row)).collect())
}

struct Log(File, PathBuf);

impl Log {
    /// Goes on with a log, or begins one.
    fn begin(path: &Path, key: &str, go_on: bool) -> Result<Self, BuildError> {
        let mut options = std::fs::OpenOptions::new();
        options
            .create(true)
            .write(true)
            .append(go_on)
            .truncate(!go_on);
        let mut log = Self(options.open(path).map_err(io(path))?, path.to_owned());
        // The end of a line that may have been cut, or the head.
        match go_on {
            true => log.write(b"\n")?,
            false => log.write(&line(&json!({"key": key})))?,
        }
        Ok(log)
    }

    fn add<T: Serialize>(&mut self, row: &Row<T>) -> Result<(), BuildError> {
        self.write(&line(row))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        self.0.write_all(bytes).map_err(io(&self.1))
    }
}

/// A number that is a function of the seed and of what it is drawn for.
pub(super) fn draw(seed: u64, what: &[&str]) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    for part in what {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize()[..8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work<'a>(items: &'a [u32], key: &'a str) -> Work<'a, u32> {
        Work {
            step: Step::Edit,
            key,
            items,
            id: u32::to_string,
            at_once: 3,
            progress: &|_, _, _| {},
        }
    }

    #[test]
    fn a_step_that_was_stopped_goes_on_and_gives_the_same_rows_in_order() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let items: Vec<u32> = (0..40).collect();
        let asked = AtomicUsize::new(0);
        let run = |key: &str, stop_at: usize| {
            asked.store(0, Ordering::SeqCst);
            folder.decide(
                &work(&items, key),
                |_| true,
                |item| match asked.fetch_add(1, Ordering::SeqCst) {
                    n if n == stop_at => Err(BuildError::Thread(std::io::Error::other("stop"))),
                    _ => Ok(Row::kept(item.to_string(), item * item)),
                },
            )
        };
        assert!(run("k", 15).is_err());
        // A kill in the middle of a line.
        let log = folder.file(Step::Edit, ".log.jsonl");
        let mut text = std::fs::read(&log).unwrap();
        text.extend_from_slice(b"{\"id\":\"39\",\"ke");
        std::fs::write(&log, text).unwrap();
        let rows = run("k", usize::MAX).unwrap();
        let squares: Vec<u32> = rows.into_iter().filter_map(|row| row.kept).collect();
        assert_eq!(squares, items.iter().map(|i| i * i).collect::<Vec<_>>());
        assert!(
            (23..=25).contains(&asked.load(Ordering::SeqCst)),
            "{asked:?}"
        );
        // Rows made of something else are not taken over.
        assert!(run("other", 39).is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 40);
    }

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
