//! A preference pair in the columns of TRL.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::export::images::write_image;
use crate::export::turns::turn_json;
use crate::{Error, Media, Message, Part, Preference, Sample};

/// `chosen`, `rejected`, `rejected_images` and what else a pair says. One rejected answer is a list of turns, several
/// are a list of such lists; so are pictures.
pub(super) fn pair_columns(
    pair: &Preference,
    sample: &Sample,
    dir: &Path,
    row: usize,
) -> Result<Map<String, Value>, Error> {
    if pair.rejected.is_empty() && pair.rejected_images.is_empty() {
        return Err(Error::row("a pair without a rejected answer or picture"));
    }
    let mut columns = Map::new();
    columns.insert("chosen".into(), answer_json(&pair.chosen)?);
    let rejected = pair.rejected.iter().map(|turns| answer_json(turns));
    if let Some(rejected) = one_or_all(rejected.collect::<Result<Vec<Value>, Error>>()?) {
        columns.insert("rejected".into(), rejected);
    }
    let sets = pair.rejected_images.iter().enumerate();
    let sets =
        sets.map(|(number, set)| pictures(set, sample, dir, &format!("{row:06}-rejected{number}")));
    if let Some(sets) = one_or_all(sets.collect::<Result<Vec<Value>, Error>>()?) {
        columns.insert("rejected_images".into(), sets);
    }
    if let Some(corrected) = &pair.corrected {
        columns.insert("corrected".into(), answer_json(corrected)?);
    }
    for (name, number) in [("confidence", pair.confidence), ("clip_gap", pair.clip_gap)] {
        if let Some(number) = number {
            columns.insert(name.into(), json!(number));
        }
    }
    Ok(columns)
}

/// The only one as it is; nothing for none.
fn one_or_all(mut all: Vec<Value>) -> Option<Value> {
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(all.into()),
    }
}

fn answer_json(turns: &[Message]) -> Result<Value, Error> {
    let turns = turns.iter().map(|message| {
        let parts = message.content.iter().map(|part| match part {
            Part::Text(text) => Ok(json!({"type": "text", "text": text})),
            Part::Image(_) | Part::Video(_) => Err(Error::row("an answer of a pair shows media")),
        });
        Ok(turn_json(message, parts.collect::<Result<_, Error>>()?))
    });
    turns.collect()
}

fn pictures(set: &[Media], sample: &Sample, dir: &Path, stem: &str) -> Result<Value, Error> {
    if set.len() != sample.images.len() {
        return Err(
            Error::row("number of rejected pictures and of pictures differ")
                .found(format!("{} rejected pictures", set.len()))
                .expected(sample.images.len().to_string()),
        );
    }
    let pictures = set.iter().enumerate();
    let names = pictures.map(|(at, image)| write_image(image, dir, &format!("{stem}-{at}")));
    Ok(names.collect::<Result<Vec<String>, Error>>()?.into())
}
