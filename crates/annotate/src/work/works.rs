//! All work on the pairs of a project: the sum of the actions.

use std::collections::{BTreeMap, HashMap, HashSet};

use percept_base::LogError;
use serde_json::Value;

use crate::cut::{FramePair, Project};
use crate::error::Error;
use crate::work::action::{Action, Change};
use crate::work::item::Item;
use crate::work::overlap::Overlap;
use crate::work::refusal::Refusal;
use crate::work::state::{State, Work};

/// The file of actions inside the folder of annotations.
pub(super) const ACTIONS: &str = "actions.jsonl";

/// All work on the pairs of a project.
#[derive(Debug)]
pub struct Works {
    project: Project,
    places: HashMap<String, usize>,
    seen: HashSet<String>,
    items: BTreeMap<(usize, String), Item>,
}

/// The work of one annotator on one pair.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'w> {
    /// Place of the pair.
    pub place: usize,
    /// The pair.
    pub pair: &'w FramePair,
    /// Whose.
    pub annotator: &'w str,
    /// What it is now.
    pub work: &'w Work,
    /// What the annotator submitted before a reviewer had a say.
    pub independent: Option<&'w Work>,
}

impl Works {
    /// The work in a folder as it is on the disk, also while a server writes it.
    ///
    /// # Errors
    /// A folder that is none of annotations, and a file of actions that was written by something else.
    pub fn read(project: Project) -> Result<Self, Error> {
        let path = project.folder().join(ACTIONS);
        let lines = percept_base::AppendLog::read(&path)?;
        Self::of(project, lines)
    }

    /// The sum of the lines.
    pub(super) fn of(project: Project, lines: Vec<Value>) -> Result<Self, Error> {
        let path = project.folder().join(ACTIONS);
        let ids = project.pairs().iter().map(|pair| pair.id.clone());
        let mut works = Self {
            places: ids.zip(0..).collect(),
            project,
            seen: HashSet::new(),
            items: BTreeMap::new(),
        };
        for (at, line) in lines.into_iter().enumerate() {
            let taken = action(line).and_then(|action| {
                let item = works.after(&action)?;
                works.take(action, item);
                Ok(())
            });
            taken.map_err(|refusal| LogError::Line {
                path: path.clone(),
                line: at + 1,
                found: refusal.to_string(),
                expected: "an action that follows from those before it",
            })?;
        }
        Ok(works)
    }

    /// The pairs and their folder.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// All work, by pair and annotator.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.items.iter().map(|((place, annotator), item)| Entry {
            place: *place,
            pair: &self.project.pairs()[*place],
            annotator,
            work: item.work(),
            independent: item.independent(),
        })
    }

    /// The work of an annotator on a pair.
    pub fn entry(&self, pair: &str, annotator: &str) -> Option<Entry<'_>> {
        let place = *self.places.get(pair)?;
        let ((_, annotator), item) = self.items.get_key_value(&(place, annotator.to_owned()))?;
        Some(Entry {
            place,
            pair: &self.project.pairs()[place],
            annotator,
            work: item.work(),
            independent: item.independent(),
        })
    }

    /// How many actions were stored.
    pub(super) fn taken(&self) -> usize {
        self.seen.len()
    }

    /// Whether an action of this id was stored.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.seen.contains(id)
    }

    /// What the action would make of the item that it changes.
    pub(super) fn after(&self, action: &Action) -> Result<Item, Refusal> {
        let unknown = || Refusal::UnknownPair(action.pair.clone());
        let place = *self.places.get(&action.pair).ok_or_else(unknown)?;
        let key = (place, action.annotator.clone());
        let nothing = Item::default();
        let item = match (self.items.get(&key), &action.change) {
            (Some(item), _) => item,
            (None, Change::Claim) => &nothing,
            (None, _) => {
                return Err(Refusal::NotAssigned {
                    pair: action.pair.clone(),
                    annotator: action.annotator.clone(),
                });
            }
        };
        let pair = &self.project.pairs()[place];
        item.after(pair, &action.annotator, &action.by, &action.change)
    }

    /// Keeps what [`Works::after`] made.
    pub(super) fn take(&mut self, action: Action, item: Item) {
        let place = self.places[&action.pair];
        self.seen.insert(action.id);
        self.items.insert((place, action.annotator), item);
    }

    /// Annotators who have the pair at this place.
    fn given(&self, place: usize) -> usize {
        let of = (place, String::new())..(place + 1, String::new());
        let held = |item: &Item| item.work().state != State::Free;
        self.items.range(of).filter(|(_, item)| held(item)).count()
    }

    /// Whether another annotator may get the pair.
    pub(super) fn is_free(&self, pair: &str, overlap: &Overlap) -> bool {
        let place = self.places.get(pair);
        place.is_some_and(|place| self.given(*place) < overlap.wanted(*place))
    }

    /// The pair that an annotator goes on with, and whether it is a new one: what was returned, what is open, the first pair
    /// that wants another annotator.
    pub(super) fn next(&self, annotator: &str, overlap: &Overlap) -> Option<(&str, bool)> {
        let own = || self.entries().filter(|entry| entry.annotator == annotator);
        let returned = own().find(|entry| matches!(entry.work.state, State::Returned { .. }));
        let open = || own().find(|entry| entry.work.state == State::Open);
        if let Some(entry) = returned.or_else(open) {
            return Some((&entry.pair.id, false));
        }
        let had: HashSet<usize> = own()
            .filter(|entry| entry.work.state != State::Free)
            .map(|entry| entry.place)
            .collect();
        let wants =
            |place: &usize| !had.contains(place) && self.given(*place) < overlap.wanted(*place);
        let place = (0..self.project.pairs().len()).find(wants)?;
        Some((&self.project.pairs()[place].id, true))
    }
}

/// An action as a page sends it, or as it is stored.
pub(super) fn action(value: Value) -> Result<Action, Refusal> {
    let action: Action =
        serde_json::from_value(value).map_err(|e| Refusal::Malformed(e.to_string()))?;
    for (field, found) in [
        ("id", &action.id),
        ("by", &action.by),
        ("annotator", &action.annotator),
    ] {
        name(field, found)?;
    }
    Ok(action)
}

/// A name of a person, or of an action.
pub(super) fn name(field: &'static str, found: &str) -> Result<(), Refusal> {
    let length = found.chars().count();
    let plain = found.trim() == found && !found.chars().any(char::is_control);
    match plain && (1..=64).contains(&length) {
        true => Ok(()),
        false => Err(Refusal::Name {
            field,
            found: found.chars().take(80).collect(),
        }),
    }
}
