//! A pair whose prompt is known, until its pictures are counted.

use crate::convention::media::MediaReader;
use crate::convention::pair::answer::Answer;
use crate::convention::pair::pictures::{check_numbers, picture_sets};
use crate::convention::pair::prompt::Answers;
use crate::convention::placement::same_image;
use crate::formats::row::{Row, Value};
use crate::{Error, Media, Message, Preference, Sample};

/// A pair whose prompt is known and whose pictures are not counted yet.
pub(in crate::convention) struct OpenPair {
    pub(super) answers: Answers,
    pub(super) pictures: Option<(String, Value)>,
    pub(super) confidence: Option<f64>,
    pub(super) clip_gap: Option<f64>,
    /// Whether the chosen answer stood at the end of the prompt's column, or in the column of an expert:
    /// supervised training learns it.
    pub(super) spoken: bool,
    /// The column of the rejected answers, where it is one of ms-swift's.
    pub(super) swift: Option<String>,
    pub(super) notes: Vec<String>,
}

impl OpenPair {
    /// Whether the recipe has supervised training learn the chosen answer, from a column that is taken already.
    pub(in crate::convention) fn is_expert(&self, column: &Option<String>, row: &Row) -> bool {
        let column = column
            .as_ref()
            .filter(|column| **column == self.answers.chosen.field);
        column.is_some_and(|column| !row.iter().any(|(name, _)| name == column))
    }

    /// Gives a sample its pair. `learns` says that supervised training learns the chosen answer.
    pub(in crate::convention) fn fill(
        mut self,
        sample: &mut Sample,
        learns: bool,
        reader: &MediaReader<'_>,
        padded: bool,
    ) -> Result<(), Error> {
        sample.unread.append(&mut self.notes);
        let learns = learns || self.spoken;
        let pair = self.read(sample, reader, padded)?;
        let answers = pair.rejected.iter().chain(&pair.corrected);
        let said = |tag: &str| {
            let mut turns = answers.clone().flatten().chain(&pair.chosen);
            turns.any(|turn| turn.plain_text().contains(tag))
        };
        for tag in ["<image>", "<video>", "<ref-object>", "<bbox>"] {
            if said(tag) {
                sample
                    .unread
                    .push(format!("tag {tag} in an answer of a pair"));
            }
        }
        if learns && sample.expert.is_none() && sample.trajectory.is_empty() {
            sample.expert = pair.chosen.last().map(Message::plain_text);
            sample.trajectory.clone_from(&pair.chosen);
        }
        sample.preference = Some(pair);
        Ok(())
    }

    fn read(
        self,
        sample: &mut Sample,
        reader: &MediaReader<'_>,
        padded: bool,
    ) -> Result<Preference, Error> {
        let rejected_images = match self.pictures {
            Some((name, value)) => {
                let sets = picture_sets(reader, &name, value)?;
                check_numbers(&name, &sets, sample.images.len())?;
                match self.swift {
                    Some(rejected) => of_ms_swift(&name, &rejected, sets, sample),
                    None => sets,
                }
            }
            None => Vec::new(),
        };
        let mut messages = |answer: Answer| answer.messages(reader, padded, &mut sample.unread);
        let Answers {
            chosen,
            rejected,
            corrected,
        } = self.answers;
        Ok(Preference {
            chosen: messages(chosen)?,
            rejected: rejected
                .into_iter()
                .map(&mut messages)
                .collect::<Result<_, Error>>()?,
            rejected_images,
            corrected: corrected.map(messages).transpose()?,
            confidence: self.confidence,
            clip_gap: self.clip_gap,
        })
    }
}

/// ms-swift's rows repeat the pictures for `rejected_messages`: equal ones are no contrast. Others it shows with the
/// rejected answer, which is said.
fn of_ms_swift(
    pictures: &str,
    rejected: &str,
    sets: Vec<Vec<Media>>,
    sample: &mut Sample,
) -> Vec<Vec<Media>> {
    let repeated = |set: &Vec<Media>| {
        set.iter()
            .zip(&sample.images)
            .all(|(a, b)| same_image(a, b))
    };
    if sets.iter().all(repeated) {
        return Vec::new();
    }
    sample.unread.push(format!(
        "that {pictures} belong to {rejected}: they are shown with the chosen answer, and ms-swift shows them with \
         the rejected one"
    ));
    sets
}
