//! Reading what benchmarks and other programs write: questions, answers, captions, annotations.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use percept_data::coco::{CocoCaptions, CocoInstances};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::chair::{Objects, present};
use super::pope_build::Annotated;
use super::vocabulary::Vocabulary;
use crate::Error;

/// Rows of a JSON array or of JSON lines.
///
/// # Errors
/// A file that cannot be read; a row that does not fit, with its place.
pub fn rows<T: DeserializeOwned>(path: &Path, expected: &'static str) -> Result<Vec<T>, Error> {
    let text = text(path)?;
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(&text).map_err(|error| Error::Row {
            place: format!("{}:{}", path.display(), error.line()),
            found: error.to_string(),
            expected,
        });
    }
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let row = |(at, line)| {
        serde_json::from_str(line).map_err(|error: serde_json::Error| Error::Row {
            place: format!("{}:{}", path.display(), at + 1),
            found: error.to_string(),
            expected,
        })
    };
    lines.map(row).collect()
}

/// A text file.
///
/// # Errors
/// One that cannot be read.
pub fn text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::File {
        path: path.into(),
        source,
    })
}

/// An answer that was given before.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// `question_id`, `id` or `index` of its row.
    pub id: Option<u64>,
    /// The number of its picture: `image_id`, or the digits at the end of its file name.
    pub image: Option<u64>,
    /// The first of `answer`, `response`, `caption`, `model_answer`, `prediction` and `text`.
    pub text: String,
}

/// The fields that may hold an answer, the first that is there.
const ANSWER: [&str; 6] = [
    "answer",
    "response",
    "caption",
    "model_answer",
    "prediction",
    "text",
];

/// Answers from JSON lines, a JSON array or the `{"imgToEval": …}` of COCO's caption evaluation.
///
/// # Errors
/// Those of [`rows`]; a row without an answer.
pub fn given(path: &Path) -> Result<Vec<Given>, Error> {
    let expected =
        "an object with `answer`, `response`, `caption`, `model_answer`, `prediction` or `text`";
    let found: Vec<Value> = match serde_json::from_str(&text(path)?) {
        Ok(Value::Object(mut whole)) => match whole.remove("imgToEval") {
            Some(Value::Object(images)) => images.into_iter().map(|(_, row)| row).collect(),
            _ => vec![Value::Object(whole)],
        },
        _ => rows(path, expected)?,
    };
    let one = |(at, row): (usize, &Value)| {
        let text = ANSWER.iter().find_map(|key| row[*key].as_str());
        let text = text.ok_or_else(|| Error::Row {
            place: format!("{}: row {}", path.display(), at + 1),
            found: "no answer".into(),
            expected,
        })?;
        let number = |key: &str| {
            row[key]
                .as_u64()
                .or_else(|| image_number(row[key].as_str()?))
        };
        Ok(Given {
            id: ["question_id", "id", "index"]
                .iter()
                .find_map(|key| row[*key].as_u64()),
            image: ["image_id", "image"].iter().find_map(|key| number(key)),
            text: text.to_owned(),
        })
    };
    found.iter().enumerate().map(one).collect()
}

/// The number at the end of a picture's name: 310196 of `COCO_val2014_000000310196.jpg`.
pub fn image_number(name: &str) -> Option<u64> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let start = stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    stem[start..].parse().ok()
}

/// Puts answers that were given before in the order of `ids`: by their own ids where all have one,
/// else by position.
///
/// # Errors
/// A question without an answer, or other than one answer a question where they have no ids.
pub fn by_id(path: &Path, ids: &[u64], given: Vec<Given>) -> Result<Vec<String>, Error> {
    if given.iter().all(|g| g.id.is_some()) {
        let mut all: HashMap<u64, String> = given
            .into_iter()
            .filter_map(|g| Some((g.id?, g.text)))
            .collect();
        let answer = |id: &u64| {
            all.remove(id).ok_or_else(|| Error::Row {
                place: path.display().to_string(),
                found: format!("no answer to question {id}"),
                expected: "one answer to every question",
            })
        };
        return ids.iter().map(answer).collect();
    }
    if given.len() != ids.len() {
        return Err(Error::Row {
            place: path.display().to_string(),
            found: format!(
                "{} answers without ids to {} questions",
                given.len(),
                ids.len()
            ),
            expected: "one answer to every question, in their order",
        });
    }
    Ok(given.into_iter().map(|g| g.text).collect())
}

/// What is in each of the pictures `images` by COCO files of any number of splits.
///
/// # Errors
/// A picture that no instances file lists: all its mentions would count as hallucinated. A class
/// that the vocabulary does not have.
pub fn objects(
    vocabulary: &Vocabulary,
    images: &BTreeSet<u64>,
    instances: &[CocoInstances],
    captions: &[CocoCaptions],
) -> Result<Objects, Error> {
    let one = |&image: &u64| {
        if !instances.iter().any(|file| file.image(image).is_some()) {
            return Err(Error::Row {
                place: format!("image {image}"),
                found: "no annotation".into(),
                expected: "a picture of the instances files; name every split with --instances",
            });
        }
        let mut classes = Vec::new();
        for file in instances {
            for object in file.objects(image) {
                let name = file.category_name(object.category).unwrap_or_default();
                let class = vocabulary.class(name).ok_or_else(|| Error::Row {
                    place: format!("object {} of image {image}", object.id),
                    found: format!("class {name:?}"),
                    expected: "a class of the vocabulary (one of COCO's 80)",
                })?;
                classes.push(class);
            }
        }
        let texts = captions.iter().flat_map(|file| file.captions(image));
        Ok((
            image,
            present(vocabulary, classes, texts.map(String::as_str)),
        ))
    };
    images.iter().map(one).collect()
}

/// Pictures with the names of their objects in the order of the annotations, for
/// [`pope_build`](super::pope_build).
pub fn annotated(instances: &CocoInstances) -> Vec<Annotated> {
    let one = |image: &percept_data::coco::CocoImage| {
        let objects = instances.objects(image.id).iter();
        let names = objects.filter_map(|o| instances.category_name(o.category));
        Annotated {
            image: image.file_name.clone(),
            objects: names.map(str::to_owned).collect(),
        }
    };
    instances.images().iter().map(one).collect()
}
