//! The columns that make a row a pair, and the pair that they make.

use crate::Error;
use crate::convention::columns::ColumnMap;
use crate::convention::experts;
use crate::convention::pair::answer::Answer;
use crate::convention::pair::elsewhere::{chosen_elsewhere, instruction};
use crate::convention::pair::numbers::{clip_gap, confidence};
use crate::convention::pair::open::OpenPair;
use crate::convention::pair::pictures::says_nothing;
use crate::convention::pair::prompt::{Answers, without_answer};
use crate::convention::pair::turns::same;
use crate::convention::take::take;
use crate::formats::row::{Row, Value};

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

impl PairColumns {
    /// None where the row is no pair; it then keeps its columns, all but those that are null or empty. Truth
    /// values and numbers are no answers: a column `rejected = false` is somebody's remark, unless the recipe
    /// names it.
    pub(in crate::convention) fn take(
        row: &mut Row,
        map: &ColumnMap,
    ) -> Result<Option<Self>, Error> {
        // What the recipe reads as something else makes no pair.
        let others = [&map.prompt, &map.images, &map.videos, &map.answer, &map.id];
        let is_other = |name: &String| others.iter().any(|column| column.as_ref() == Some(name));
        let (claimed, free): (Row, Row) = std::mem::take(row)
            .into_iter()
            .partition(|(name, _)| is_other(name));
        *row = free;
        let pair = Self::take_free(row, map);
        row.extend(claimed);
        pair
    }

    fn take_free(row: &mut Row, map: &ColumnMap) -> Result<Option<Self>, Error> {
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
            // `data.columns.expert = "chosen"`: supervised training on rows that are no pairs.
            if chosen.as_ref().map(|(name, _)| name) == map.expert.as_ref() {
                row.extend(chosen);
                return Ok(None);
            }
            let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::row("a chosen answer without a rejected one")
                .field(chosen.map_or_else(|| "chosen".to_owned(), |(name, _)| name))
                .found(format!("columns {}", names.join(", ")))
                .expected("rejected, rejected_response, rejected_messages or rejected_images")
                .help("name the column in data.columns.rejected or data.columns.rejected_images"));
        }
        no_other_tools(row)?;
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

/// ms-swift's `rejected_tools`: both answers are read with one prompt, so they have the same tools.
fn no_other_tools(row: &mut Row) -> Result<(), Error> {
    let Some((name, value)) = take(row, &None, &["rejected_tools"])? else {
        return Ok(());
    };
    let tools = row.iter().find(|(column, _)| column == "tools");
    if says_nothing(&value) || tools.is_some_and(|(_, tools)| same(tools, &value)) {
        return Ok(());
    }
    Err(Error::row("the rejected answer has tools of its own")
        .field(name)
        .found(value.describe())
        .expected("the column tools again: both answers are read with one prompt")
        .help("leave the row out, or the column where the tools are no difference"))
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
