//! Decisions about many rows at once, kept one by one.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use percept_base::{lock, run_jobs};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::io;
use crate::folder::Folder;
use crate::lines::line;
use crate::{Progress, Row, StepError, StepId};

/// Decides about every item, `at_once` at a time, and writes the rows in their order. Rows
/// that an earlier process logged under the same key are taken over, if `whole` accepts them.
///
/// # Errors
/// The first error of `decide`, and a log that cannot be written. What was decided before it stays in the log.
pub fn decide<I, T, E>(
    folder: &Folder,
    work: &Work<'_, I>,
    whole: impl Fn(&Row<T>) -> bool,
    decide: impl Fn(&I) -> Result<Row<T>, E> + Sync,
) -> Result<Vec<Row<T>>, E>
where
    I: Sync,
    T: Serialize + DeserializeOwned + Send,
    E: From<StepError> + Send,
{
    let path = folder.file(work.step, ".log.jsonl");
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
    let total = rows.len();
    let done = AtomicUsize::new(total - open.len());
    (work.progress)(work.step, done.load(Ordering::SeqCst), total);
    let shared = Mutex::new((log, rows, None::<E>));
    run_jobs(open.len(), work.at_once, |job| {
        let at = open[job];
        let decided = decide(&work.items[at]);
        let mut shared = lock(&shared);
        let (log, rows, error) = &mut *shared;
        let logged = decided.and_then(|row| {
            log.add(&row)?;
            rows[at] = Some(row);
            Ok(())
        });
        if let Err(e) = logged {
            error.get_or_insert(e);
            return ControlFlow::Break(());
        }
        (work.progress)(work.step, done.fetch_add(1, Ordering::SeqCst) + 1, total);
        ControlFlow::Continue(())
    });
    let (_, rows, error) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    match error {
        Some(error) => Err(error),
        None => Ok(rows.into_iter().flatten().collect()),
    }
}

/// What [`decide`] has to do.
pub struct Work<'a, I> {
    /// The step.
    pub step: StepId,
    /// What its rows are made of ([`Folder::key`]).
    pub key: &'a str,
    /// What is decided about.
    pub items: &'a [I],
    /// The name of an item, unique in the step; that of its [`Row`].
    pub id: fn(&I) -> String,
    /// Decisions at the same time.
    pub at_once: usize,
    /// Called as rows are done.
    pub progress: &'a Progress<'a>,
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
    fn begin(path: &Path, key: &str, go_on: bool) -> Result<Self, StepError> {
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

    fn add<T: Serialize>(&mut self, row: &Row<T>) -> Result<(), StepError> {
        self.write(&line(row))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StepError> {
        self.0.write_all(bytes).map_err(io(&self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDIT: StepId = StepId {
        number: 4,
        name: "edit",
    };

    fn work<'a>(items: &'a [u32], key: &'a str) -> Work<'a, u32> {
        Work {
            step: EDIT,
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
        let folder = Folder::open(place.path(), &[]).unwrap();
        let items: Vec<u32> = (0..40).collect();
        let asked = AtomicUsize::new(0);
        let run = |key: &str, stop_at: usize| {
            asked.store(0, Ordering::SeqCst);
            decide(
                &folder,
                &work(&items, key),
                |_| true,
                |item| match asked.fetch_add(1, Ordering::SeqCst) {
                    n if n == stop_at => Err(io(place.path())(std::io::Error::other("stop"))),
                    _ => Ok(Row::kept(item.to_string(), item * item)),
                },
            )
        };
        assert!(run("k", 15).is_err());
        // A kill in the middle of a line.
        let log = folder.file(EDIT, ".log.jsonl");
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
}
