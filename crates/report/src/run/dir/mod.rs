//! The run folder: where things are, which checkpoints are complete, who may write.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;
use percept_base::files;

const RECIPE: &str = "recipe.toml";
const METRICS: &str = "metrics.jsonl";
const LOCK: &str = ".lock";
const STEP: &str = "step-";
const ROLLOUTS: &str = ".parquet";
const PAIRS: &str = "pairs";

/// A run folder. Made by [`create`](Self::create) or [`resume`](Self::resume) it holds the
/// run's lock, so that two trainers never write to one run; the lock goes with the last clone.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
    _lock: Option<Arc<File>>,
}

/// A complete checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Step after which it was made.
    pub step: u64,
    /// Its folder.
    pub path: PathBuf,
}

impl RunDir {
    /// Makes the folder of a new run. A folder that holds anything is refused.
    pub fn create(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(Error::io("create the run folder", path))?;
        refuse_links(path)?;
        let lock = lock(path)?;
        let run = Self {
            path: path.to_path_buf(),
            _lock: lock,
        };
        run.clean()?;
        if let Some(holds) = run.content()? {
            return Err(Error::RunExists {
                path: run.path,
                holds,
            });
        }
        for folder in run.folders() {
            fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        }
        Ok(run)
    }

    /// Makes the folder of a new run in the place of an old run, which is removed. A folder that
    /// holds anything but a run is refused, and so is a run that another process writes to.
    pub fn replace(path: &Path) -> Result<Self, Error> {
        match Self::create(path) {
            Err(Error::RunExists { .. }) => {}
            made => return made,
        }
        let old = Self::resume(path)?;
        // What tells that this is a run goes last: a kill on the way leaves one.
        let mut names = files::list_dir(path)?;
        names.sort_by_key(|name| [RECIPE, METRICS].contains(&name.as_str()));
        for name in names.iter().filter(|name| *name != LOCK) {
            files::remove(&path.join(name))?;
        }
        drop(old);
        Self::create(path)
    }

    /// Opens a run for reading, while it goes on or afterwards.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.is_dir() {
            return Err(Error::NotARun {
                path: path.to_path_buf(),
                reason: "there is no such folder".into(),
            });
        }
        refuse_links(path)?;
        if ![RECIPE, METRICS]
            .iter()
            .any(|name| path.join(name).is_file())
        {
            return Err(Error::NotARun {
                path: path.to_path_buf(),
                reason: format!("it has neither {RECIPE} nor {METRICS}"),
            });
        }
        Ok(Self {
            path: path.to_path_buf(),
            _lock: None,
        })
    }

    /// Opens a run for going on with it: takes its lock and removes unfinished files that a
    /// killed process left.
    pub fn resume(path: &Path) -> Result<Self, Error> {
        let mut run = Self::open(path)?;
        run._lock = lock(path)?;
        run.clean()?;
        for folder in run.folders() {
            fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        }
        Ok(run)
    }

    /// The run folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Last part of the path, as the run's name.
    pub fn name(&self) -> String {
        let full = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        full.file_name()
            .map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned())
    }

    /// `recipe.toml`: the resolved recipe.
    pub fn recipe(&self) -> PathBuf {
        self.path.join(RECIPE)
    }

    /// `metrics.jsonl`.
    pub fn metrics(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// `tensorboard/`.
    pub fn tensorboard(&self) -> PathBuf {
        self.path.join("tensorboard")
    }

    /// `rollouts/`.
    pub fn rollouts(&self) -> PathBuf {
        self.path.join("rollouts")
    }

    /// `rollouts/step-000123.parquet`.
    pub fn rollouts_of(&self, step: u64) -> PathBuf {
        self.rollouts().join(format!("{STEP}{step:06}{ROLLOUTS}"))
    }

    /// `pairs/`: made when a step of a preference stage keeps what it saw.
    pub fn pairs(&self) -> PathBuf {
        self.path.join(PAIRS)
    }

    /// `pairs/step-000123.parquet`.
    pub fn pairs_of(&self, step: u64) -> PathBuf {
        self.pairs().join(format!("{STEP}{step:06}{ROLLOUTS}"))
    }

    /// `checkpoints/`.
    pub fn checkpoints_dir(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// `checkpoints/step-000123/`. Write to [`temporary_path`](percept_base::files::temporary_path) of it, then
    /// [`replace_dir`](percept_base::files::replace_dir).
    pub fn checkpoint_of(&self, step: u64) -> PathBuf {
        self.checkpoints_dir().join(format!("{STEP}{step:06}"))
    }

    /// `summary.json`: a [`Summary`](crate::Summary).
    pub fn summary(&self) -> PathBuf {
        self.path.join("summary.json")
    }

    /// `warnings.jsonl`: what was said to be wrong with the run, a line each.
    pub fn warnings(&self) -> PathBuf {
        self.path.join("warnings.jsonl")
    }

    /// `report.html`.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Complete checkpoints, oldest first.
    pub fn checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        let folder = self.checkpoints_dir();
        let mut found: Vec<Checkpoint> = files::list_dir(&folder)?
            .iter()
            .filter_map(|name| {
                let step = name.strip_prefix(STEP)?.parse().ok()?;
                let path = folder.join(name);
                let complete = path.join("percept").join("state.json").is_file();
                complete.then_some(Checkpoint { step, path })
            })
            .collect();
        found.sort_unstable_by_key(|checkpoint| checkpoint.step);
        Ok(found)
    }

    /// The checkpoint from which the run goes on.
    pub fn latest_checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        Ok(self.checkpoints()?.pop())
    }

    /// Steps that have stored rollouts, ascending.
    pub fn rollout_steps(&self) -> Result<Vec<u64>, Error> {
        steps_in(&self.rollouts())
    }

    /// Steps that have stored pairs, ascending.
    pub fn pair_steps(&self) -> Result<Vec<u64>, Error> {
        steps_in(&self.pairs())
    }

    /// Removes all but the newest `keep` checkpoints; the newest always stays.
    pub fn prune(&self, keep: usize) -> Result<(), Error> {
        let mut checkpoints = self.checkpoints()?;
        checkpoints.truncate(checkpoints.len().saturating_sub(keep.max(1)));
        for checkpoint in checkpoints {
            files::remove_dir(&checkpoint.path)?;
        }
        Ok(())
    }

    /// Removes rollouts, pairs and checkpoints of steps after `step`, so that a run which goes on from
    /// there leaves the files of one that was never interrupted.
    pub fn discard_after(&self, step: u64) -> Result<(), Error> {
        let rollouts = self.rollout_steps()?.into_iter();
        let rollouts = rollouts.map(|at| (at, self.rollouts_of(at)));
        let pairs = self.pair_steps()?.into_iter();
        let pairs = pairs.map(|at| (at, self.pairs_of(at)));
        for (_, path) in rollouts.chain(pairs).filter(|(at, _)| *at > step) {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        for later in self.checkpoints()?.into_iter().filter(|c| c.step > step) {
            files::remove_dir(&later.path)?;
        }
        Ok(())
    }

    fn folders(&self) -> [PathBuf; 4] {
        [
            self.tensorboard(),
            self.rollouts(),
            self.evaluations(),
            self.checkpoints_dir(),
        ]
    }

    /// `eval/`: one file of judged responses for each evaluation.
    pub fn evaluations(&self) -> PathBuf {
        self.path.join("eval")
    }

    fn clean(&self) -> Result<(), Error> {
        files::recover(&self.path)?;
        for folder in self.folders().iter().chain([&self.pairs()]) {
            files::recover(folder)?;
        }
        // The trainer's state in a complete checkpoint is written again when a run ends.
        for checkpoint in self.checkpoints()? {
            files::recover(&checkpoint.path.join("percept"))?;
        }
        Ok(())
    }

    /// The first thing in the folder that is not an empty folder of ours.
    fn content(&self) -> Result<Option<String>, Error> {
        for name in files::list_dir(&self.path)? {
            let path = self.path.join(&name);
            if name == LOCK {
                continue;
            }
            let ours = self.folders().contains(&path) || path == self.pairs();
            if ours && files::list_dir(&path)?.is_empty() {
                continue;
            }
            let run = self.recipe().is_file() || self.metrics().is_file();
            return Ok(Some(if run { "a run".into() } else { name }));
        }
        Ok(None)
    }
}

/// The steps of a folder's files, ascending.
fn steps_in(folder: &Path) -> Result<Vec<u64>, Error> {
    let mut steps: Vec<u64> = files::list_dir(folder)?
        .iter()
        .filter_map(|name| {
            let step = name.strip_prefix(STEP)?.strip_suffix(ROLLOUTS)?;
            step.parse().ok()
        })
        .collect();
    steps.sort_unstable();
    Ok(steps)
}

/// A run follows no link inside its folder: whoever can place one there could have it empty or remove files elsewhere,
/// or show them in the report. The run folder itself may be a link.
fn refuse_links(run: &Path) -> Result<(), Error> {
    let folders = ["tensorboard", "rollouts", PAIRS, "eval", "checkpoints"];
    let inside = folders.iter().map(|name| run.join(name));
    for folder in std::iter::once(run.to_path_buf()).chain(inside) {
        for name in files::list_dir(&folder)? {
            let path = folder.join(name);
            if path.symlink_metadata().is_ok_and(|m| m.is_symlink()) {
                return Err(Error::Link { path });
            }
        }
    }
    Ok(())
}

/// Takes the run's lock; `None` where the file system has no locks.
fn lock(run: &Path) -> Result<Option<Arc<File>>, Error> {
    let path = run.join(LOCK);
    // Not emptied: the lock is on the file, its content is nobody's.
    let mut options = File::options();
    let options = options.create(true).write(true).truncate(false);
    let file = options
        .open(&path)
        .map_err(Error::io("write to the run folder", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Arc::new(file))),
        Err(TryLockError::WouldBlock) => Err(Error::Locked {
            path: run.to_path_buf(),
        }),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
