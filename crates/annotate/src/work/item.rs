//! The work of one annotator on one pair, as the sum of what was done to it.

use crate::cut::FramePair;
use crate::work::action::Change;
use crate::work::refusal::Refusal;
use crate::work::state::{DrawnBox, Side, State, Work};

/// Boxes of a pair: a page that goes wild does not fill the disk.
const MAX_BOXES: usize = 1_000;

/// What was done to the work, and what it is now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Item {
    /// Who did what; what was undone is not in it.
    history: Vec<(String, Change)>,
    work: Work,
    /// As the annotator submitted it last before a reviewer had a say: what agreement is computed of.
    independent: Option<Work>,
    reviewed: bool,
}

impl Item {
    /// What it is now.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// What the annotator submitted before a reviewer had a say.
    pub fn independent(&self) -> Option<&Work> {
        self.independent.as_ref()
    }

    /// The item after a change that `by` makes to the work of `owner`; refused, it stays as it is.
    pub fn after(
        &self,
        pair: &FramePair,
        owner: &str,
        by: &str,
        change: &Change,
    ) -> Result<Self, Refusal> {
        let mut next = self.clone();
        if *change != Change::Undo {
            next.step(pair, owner, by, change)?;
            next.history.push((by.to_owned(), change.clone()));
            return Ok(next);
        }
        match next.history.pop() {
            Some((who, last)) if who == by && !matches!(last, Change::Claim | Change::Release) => {}
            _ => return Err(Refusal::NothingToUndo(by.to_owned())),
        }
        let mut undone = Self::default();
        for (by, change) in &next.history {
            undone.step(pair, owner, by, change)?;
        }
        undone.history = next.history;
        Ok(undone)
    }

    fn step(
        &mut self,
        pair: &FramePair,
        owner: &str,
        by: &str,
        change: &Change,
    ) -> Result<(), Refusal> {
        match change {
            Change::Claim => {
                if self.work.state != State::Free {
                    return Err(Refusal::NotFree(pair.id.clone()));
                }
                self.work.state = State::Open;
            }
            Change::Release => {
                self.need(matches!(self.work.state, State::Open), "in the making")?;
                self.work.state = State::Free;
            }
            Change::Submit => {
                self.need(
                    by == owner && self.is_open(),
                    "the annotator's, in the making",
                )?;
                if self.work.preference.is_none() {
                    return Err(Refusal::NoPreference);
                }
                self.work.state = State::Submitted;
                if !self.reviewed {
                    self.independent = Some(self.work.clone());
                }
            }
            Change::Accept => {
                self.review(owner, by)?;
                self.work.state = State::Accepted { by: by.to_owned() };
            }
            Change::Return { note } => {
                self.review(owner, by)?;
                self.work.state = State::Returned {
                    by: by.to_owned(),
                    note: note.clone(),
                };
            }
            edit => {
                match by == owner {
                    true => {
                        self.need(self.is_open(), "in the making (undo the submission first)")?
                    }
                    false => {
                        self.review(owner, by)?;
                        self.work.corrected_by = Some(by.to_owned());
                    }
                }
                self.edit(pair, edit)?;
            }
        }
        Ok(())
    }

    fn edit(&mut self, pair: &FramePair, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::AddBox {
                key,
                side,
                label,
                corners,
            } => {
                if key.is_empty() || key.len() > 64 || self.work.boxes.len() >= MAX_BOXES {
                    let found = key.clone();
                    return Err(Refusal::Name {
                        field: "box",
                        found,
                    });
                }
                if self.work.boxes.iter().any(|drawn| drawn.key == *key) {
                    return Err(Refusal::BoxExists(key.clone()));
                }
                let drawn = DrawnBox {
                    key: key.clone(),
                    side: *side,
                    label: *label,
                    corners: *corners,
                };
                inside(pair, &drawn)?;
                self.work.boxes.push(drawn);
            }
            Change::MoveBox { key, corners } => {
                let drawn = self.drawn(key)?;
                let moved = DrawnBox {
                    corners: *corners,
                    ..drawn.clone()
                };
                inside(pair, &moved)?;
                *drawn = moved;
            }
            Change::RelabelBox { key, label } => self.drawn(key)?.label = *label,
            Change::DeleteBox { key } => {
                self.drawn(key)?;
                self.work.boxes.retain(|drawn| drawn.key != *key);
            }
            Change::SetLabel { side, label, on } => {
                match on {
                    true => self.work.labels.insert((*side, *label)),
                    false => self.work.labels.remove(&(*side, *label)),
                };
            }
            Change::Prefer { preference } => self.work.preference = Some(*preference),
            // The others are no edits.
            _ => {}
        }
        Ok(())
    }

    fn drawn(&mut self, key: &str) -> Result<&mut DrawnBox, Refusal> {
        let found = self.work.boxes.iter_mut().find(|drawn| drawn.key == key);
        found.ok_or_else(|| Refusal::UnknownBox(key.to_owned()))
    }

    fn is_open(&self) -> bool {
        matches!(self.work.state, State::Open | State::Returned { .. })
    }

    /// `by` may review: it is submitted, and by somebody else.
    fn review(&mut self, owner: &str, by: &str) -> Result<(), Refusal> {
        if by == owner {
            return Err(Refusal::OwnReview(by.to_owned()));
        }
        self.need(self.work.state == State::Submitted, "submitted")?;
        self.reviewed = true;
        Ok(())
    }

    fn need(&self, holds: bool, expected: &'static str) -> Result<(), Refusal> {
        let found = match self.work.state {
            State::Free => "nobody's",
            State::Open => "in the making",
            State::Submitted => "submitted",
            State::Returned { .. } => "returned",
            State::Accepted { .. } => "accepted",
        };
        match holds {
            true => Ok(()),
            false => Err(Refusal::WrongState { found, expected }),
        }
    }
}

fn inside(pair: &FramePair, drawn: &DrawnBox) -> Result<(), Refusal> {
    let frame = match drawn.side {
        Side::A => &pair.a,
        Side::B => &pair.b,
    };
    let labelled = percept_frames::LabelledBox {
        label: drawn.label,
        corners: drawn.corners,
    };
    let checked = labelled.check(frame.width, frame.height);
    checked.map_err(|wrong| Refusal::OutsideFrame {
        side: drawn.side.name(),
        wrong,
    })
}
