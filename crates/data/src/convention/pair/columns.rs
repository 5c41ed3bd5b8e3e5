//! The columns that make a row a pair, and the pair that they make.

use crate::convention::columns::ColumnMap;
use crate::convention::experts;
use crate::convention::media::MediaReader;
use crate::convention::pair::answer::Answer;
use crate::convention::pair::numbers::{clip_gap, confidence};
use crate::convention::pair::pictures::{check_numbers, picture_sets, says_nothing};
use crate::convention::pair::prompt::{Answers, split, without_answer};
use crate::convention::pair::turns::turns_of;
use crate::convention::placement::same_image;
use crate::convention::take::take;
use crate::formats::row::{Row, Value};
use crate::{Error, Media, Message, Preference, Sample};

const REJECTED: [&str; 3] = ["rejected", "rejected_response", "rejected_messages"];

const COLUMNS: [&str; 6] = [
    "chosen",
    "rejected",
    "rejected_response",
    "rejected_messages",
    "rejected_images",
    "rejected_image",
];

/// The columns of a row that say what is better, taken out of it.
pub(in crate::convention) struct PairColumns {
    chosen: Option<(String, Value)>,
    rejected: Vec<(String, Value)>,
    pictures: Option<(String, Value)>,
    corrected: Option<(String, Value)>,
    confidence: Option<f64>,
    clip_gap: Option<f64>,
}

/// A pair whose prompt is known and whose pictures are not counted yet.
pub(in crate::convention) struct OpenPair {
    answers: Answers,
    pictures: Option<(String, Value)>,
    confidence: Option<f64>,
    clip_gap: Option<f64>,
    /// Whether the chosen answer stood at the end of the prompt's column, or in the column of an expert:
    /// supervised training learns it.
    spoken: bool,
    /// The column of the rejected answers, where it is one of ms-swift's.
    swift: Option<String>,
    notes: Vec<String>,
}

impl PairColumns {
    /// None where the row is no pair; it then keeps its columns, all but those that are null or empty. Truth
    /// values and numbers are no answers: a column `rejected = false` is somebody's remark, unless the recipe
    /// names it.
    pub(in crate::convention) fn take(
        row: &mut Row,
        map: &ColumnMap,
    ) -> Result<Option<Self>, Error> {
        let named = [&map.chosen, &map.rejected, &map.rejected_images];
        let named = named.into_iter().flatten();
        let is_named = named
            .clone()
            .any(|name| row.iter().any(|(c, v)| c == name && !v.is_null()));
        let is_pair = is_named || row.iter().any(|(name, value)| is_pair_column(name, value));
        if !is_pair {
            // A column that the recipe names must be there, also where it is null.
            for name in named {
                take(row, &Some(name.clone()), &[])?;
            }
            row.retain(|(name, value)| !(COLUMNS.contains(&name.as_str()) && says_nothing(value)));
            return Ok(None);
        }
        let chosen = take(row, &map.chosen, &["chosen"])?;
        let mut rejected: Vec<(String, Value)> = take(row, &map.rejected, &REJECTED)?
            .into_iter()
            .chain(numbered(row))
            .collect();
        rejected.retain(|(_, value)| !matches!(value, Value::List(all) if all.is_empty()));
        let pictures = take(
            row,
            &map.rejected_images,
            &["rejected_images", "rejected_image"],
        )?;
        let pictures = pictures.filter(|(_, value)| !says_nothing(value));
        if rejected.is_empty() && pictures.is_none() {
            let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::row("a chosen answer without a rejected one")
                .field(chosen.map_or_else(|| "chosen".to_owned(), |(name, _)| name))
                .found(format!("columns {}", names.join(", ")))
                .expected("rejected, rejected_response, rejected_messages or rejected_images")
                .help("name the column in data.columns.rejected or data.columns.rejected_images"));
        }
        Ok(Some(Self {
            chosen,
            rejected,
            pictures,
            corrected: take(row, &None, &["corrected"])?,
            confidence: confidence(row)?,
            clip_gap: clip_gap(row)?,
        }))
    }

    /// What is unread or read otherwise than some tool means it, beside these columns.
    fn notes(&self, row: &Row) -> Vec<String> {
        let mut notes = Vec::new();
        let others = row
            .iter()
            .filter(|(name, v)| experts::COLUMNS.contains(&name.as_str()) && !v.is_null());
        if self.chosen.is_some() {
            notes.extend(others.map(|(name, _)| {
                format!("column {name} of a pair: preference stages read chosen and rejected alone")
            }));
        }
        notes
    }

    /// Finds the prompt. `given` is its column, where the row has one; `row` has what is left.
    pub(in crate::convention) fn settle(
        self,
        mut given: Option<(String, Value)>,
        row: &mut Row,
        map: &ColumnMap,
        padded: bool,
    ) -> Result<(String, Value, OpenPair), Error> {
        let notes = self.notes(row);
        let mut swift = self.rejected.iter().map(|(name, _)| name);
        let swift = swift.find(|name| REJECTED[1..].contains(&name.as_str()));
        let swift = swift.cloned();
        if given.is_none() {
            given = instruction(row)?;
        }
        let mut rejected = Vec::new();
        for (name, value) in self.rejected {
            rejected.extend(Answer::several(&name, value, padded)?);
        }
        let mut spoken = false;
        let chosen = match self.chosen {
            Some((name, value)) => Answer::read(&name, value)?,
            None => {
                spoken = true;
                chosen_elsewhere(&mut given, row, map, &rejected)?
            }
        };
        let corrected = match self.corrected {
            Some((name, value)) => Some(Answer::read(&name, value)?),
            None => None,
        };
        if let Some((name, value)) = given.take_if(|_| !spoken) {
            let (value, ended) = without_answer(&name, value, &chosen)?;
            spoken = ended;
            given = Some((name, value));
        }
        let mut answers = Answers {
            chosen,
            rejected,
            corrected,
        };
        let (name, value) = answers.settle(given)?;
        let open = OpenPair {
            answers,
            pictures: self.pictures,
            confidence: self.confidence,
            clip_gap: self.clip_gap,
            spoken,
            swift,
            notes,
        };
        Ok((name, value, open))
    }
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

/// Whether a column makes its row a pair.
fn is_pair_column(name: &str, value: &Value) -> bool {
    let is_answer = match value {
        Value::Text(_) | Value::Struct(_) => true,
        Value::List(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Bytes(_) => false,
    };
    match name {
        "rejected_images" | "rejected_image" => !says_nothing(value),
        "chosen" => is_answer,
        name => is_answer && (REJECTED.contains(&name) || number(name).is_some()),
    }
}

/// The number of a column `rejected_1`, `rejected_2`, ….
fn number(name: &str) -> Option<usize> {
    name.strip_prefix("rejected_")?.parse().ok()
}

/// The columns `rejected_1`, `rejected_2`, …, in the order of their numbers.
fn numbered(row: &mut Row) -> Row {
    let (mut found, others): (Row, Row) = std::mem::take(row)
        .into_iter()
        .partition(|(name, _)| number(name).is_some());
    *row = others;
    found.retain(|(_, value)| !value.is_null());
    found.sort_by_key(|(name, _)| number(name));
    found
}

/// LLaMA-Factory's alpaca columns as a prompt: the instruction, and the input on a line of its own.
fn instruction(row: &mut Row) -> Result<Option<(String, Value)>, Error> {
    let Some((name, instruction)) = take(row, &None, &["instruction"])? else {
        return Ok(None);
    };
    let input = take(row, &None, &["input"])?;
    let text = match (instruction, input.map(|(_, value)| value)) {
        (Value::Text(text), None) => text,
        (Value::Text(text), Some(Value::Text(input))) if input.is_empty() => text,
        (Value::Text(text), Some(Value::Text(input))) => format!("{text}\n{input}"),
        (Value::Text(_), Some(other)) => return Err(not_text("input", &other)),
        (other, _) => return Err(not_text("instruction", &other)),
    };
    Ok(Some((name, Value::Text(text))))
}

fn not_text(field: &str, value: &Value) -> Error {
    Error::row("not text")
        .field(field)
        .found(value.describe())
        .expected("text")
}

/// ms-swift: the chosen answer ends the conversation, or is the column `response`.
fn chosen_elsewhere(
    given: &mut Option<(String, Value)>,
    row: &Row,
    map: &ColumnMap,
    rejected: &[Answer],
) -> Result<Answer, Error> {
    let turns = given
        .as_ref()
        .and_then(|(name, value)| Some((name.clone(), turns_of(value)?)));
    if let Some((name, turns)) = turns
        && let Some((prompt, chosen)) = split(&name, &turns, rejected)
    {
        *given = (!prompt.is_null()).then_some((name, prompt));
        return Ok(chosen);
    }
    let names = ColumnMap::candidates(&map.expert, &experts::COLUMNS);
    let response = names.iter().find_map(|name| {
        row.iter()
            .find(|(column, value)| column == name && !value.is_null())
    });
    if let Some((name, value)) = response {
        return Answer::read(name, value.clone());
    }
    let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
    let field = rejected
        .first()
        .map_or("rejected_images", |answer| answer.field.as_str());
    Err(
        Error::row("a rejected answer or picture without a chosen answer")
            .field(field)
            .found(format!("columns {}", names.join(", ")))
            .expected("chosen, response, or messages that end with a turn of the assistant")
            .help("name the column in data.columns.chosen"),
    )
}
