//! The file of actions, open for one server: what it took is on the disk.

use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use percept_base::{AppendLog, LogError, lock};
use serde_json::Value;

use crate::cut::Project;
use crate::error::Error;
use crate::work::action::{Action, Change};
use crate::work::overlap::Overlap;
use crate::work::refusal::Refusal;
use crate::work::works::{ACTIONS, Works, action, name};

/// Why an action was not stored.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// It cannot be done. Sent again, it is refused again.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk. It may be sent again.
    #[error(transparent)]
    Disk(#[from] LogError),
}

/// What became of an action that is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The pair that it changed.
    pub pair: String,
    /// Whose work it changed.
    pub annotator: String,
    /// Whether it had been stored before.
    pub known: bool,
}

/// All work on the pairs of a project, and the file that keeps it.
#[derive(Debug)]
pub struct Store {
    log: AppendLog,
    overlap: Overlap,
    works: Mutex<Works>,
}

impl Store {
    /// Opens the file, for this process alone.
    ///
    /// # Errors
    /// Another process that has it open, and lines that nothing of ours wrote.
    pub fn open(project: Project, overlap: Overlap) -> Result<Self, Error> {
        let (log, lines) = AppendLog::open(&project.folder().join(ACTIONS))?;
        Ok(Self {
            log,
            overlap,
            works: Mutex::new(Works::of(project, lines)?),
        })
    }

    /// Stores an action; when this returns it is on the disk. One that was stored before is not stored again.
    ///
    /// # Errors
    /// [`ActionError::Refused`] for what cannot be done: nothing is stored then. [`ActionError::Disk`].
    pub fn act(&self, sent: Value) -> Result<Receipt, ActionError> {
        let mut action = action(sent)?;
        let mut works = lock(&self.works);
        let receipt = |known| Receipt {
            pair: action.pair.clone(),
            annotator: action.annotator.clone(),
            known,
        };
        if works.knows(&action.id) {
            return Ok(receipt(true));
        }
        let own = action.by == action.annotator;
        if action.change == Change::Claim && !(own && works.is_free(&action.pair, &self.overlap)) {
            return Err(Refusal::NotFree(action.pair).into());
        }
        let receipt = receipt(false);
        action.at_ms = now_ms();
        self.keep(&mut works, action)?;
        Ok(receipt)
    }

    /// The pair that an annotator goes on with; one that is new is theirs when this returns.
    ///
    /// # Errors
    /// A name that is none, and the disk.
    pub fn next(&self, annotator: &str) -> Result<Option<String>, ActionError> {
        name("name", annotator)?;
        let mut works = lock(&self.works);
        let Some((pair, new)) = works.next(annotator, &self.overlap) else {
            return Ok(None);
        };
        let pair = pair.to_owned();
        if new {
            let at_ms = now_ms();
            let claim = Action {
                id: format!("claim-{at_ms}-{}", works.taken()),
                by: annotator.to_owned(),
                pair: pair.clone(),
                annotator: annotator.to_owned(),
                change: Change::Claim,
                at_ms,
            };
            self.keep(&mut works, claim)?;
        }
        Ok(Some(pair))
    }

    /// Looks at the work as it is now.
    pub fn look<T>(&self, at: impl FnOnce(&Works) -> T) -> T {
        at(&lock(&self.works))
    }

    /// How many annotators get a pair.
    pub fn overlap(&self) -> &Overlap {
        &self.overlap
    }

    /// To the disk, then to memory.
    fn keep(&self, works: &mut Works, action: Action) -> Result<(), ActionError> {
        let item = works.after(&action)?;
        let line = serde_json::to_value(&action).map_err(|e| Refusal::Malformed(e.to_string()))?;
        self.log.append(&[line])?;
        works.take(action, item);
        Ok(())
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
