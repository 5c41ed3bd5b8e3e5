//! The picture's annotations judge: an object that an answer names and the picture does not show is a rejected claim.

use std::collections::BTreeSet;

use percept_benchmarks::hallucination::files::{image_number, objects as annotated};
use percept_benchmarks::hallucination::object_halbench::objects;
use percept_benchmarks::hallucination::{Class, Vocabulary};
use percept_data::coco::{CocoCaptions, CocoInstances};
use percept_data::{Dataset, Sample};
use serde_json::{Value, json};

use crate::candidate::by_row;
use crate::{Candidate, CandidateStatus, Claim, ClaimVerdict, Error, Judge, Judgement, Score};

/// Where it is said what a picture shows.
#[derive(Debug)]
pub enum ObjectSource {
    /// COCO's files. A picture is found by the row's `image_id`, else by the number at the end of its file's name.
    Coco {
        /// Instances of every split that has a picture.
        instances: Vec<CocoInstances>,
        /// Captions: what they mention is in the picture too.
        captions: Vec<CocoCaptions>,
    },
    /// A column of the row: a list of names, or names separated by commas. `objects` is ms-swift's as well.
    Column(String),
}

/// Annotations as a judge. Objects are found by CHAIR's word rules, each word once an answer; the score is minus the
/// number of those that the picture does not show. An answer that names no object claims nothing.
#[derive(Debug)]
pub struct Annotations {
    vocabulary: Vocabulary,
    source: ObjectSource,
}

impl Annotations {
    /// Objects are the classes of the vocabulary.
    pub fn new(vocabulary: Vocabulary, source: ObjectSource) -> Self {
        Self { vocabulary, source }
    }

    /// What the pictures of a row show.
    fn present(&self, sample: &Sample) -> Result<BTreeSet<Class>, String> {
        match &self.source {
            ObjectSource::Column(column) => {
                let names = names(sample, column)?;
                // A name that no class has cannot be mentioned either.
                let class = |name: &String| self.vocabulary.objects(name);
                Ok(names.iter().flat_map(class).collect())
            }
            ObjectSource::Coco {
                instances,
                captions,
            } => {
                let images = image_ids(sample)?;
                let found = annotated(&self.vocabulary, &images, instances, captions);
                let found = found.map_err(|error| error.to_string())?;
                Ok(found.into_values().flatten().collect())
            }
        }
    }

    fn one(&self, answer: &Candidate, present: &BTreeSet<Class>) -> Judgement {
        let mentions = objects(&self.vocabulary, &answer.text);
        if mentions.is_empty() {
            return Judgement::none(CandidateStatus::NoClaims, "it names no object");
        }
        let covered: BTreeSet<Class> = mentions.iter().map(|m| m.class).collect();
        let claims: Vec<Claim> = mentions
            .into_iter()
            .map(|mention| {
                let verdict = match present.contains(&mention.class) {
                    true => ClaimVerdict::Accepted,
                    false => ClaimVerdict::Rejected,
                };
                let class = self.vocabulary.name(mention.class);
                Claim {
                    class: (class != mention.word).then(|| class.to_owned()),
                    ..Claim::new(mention.word, verdict)
                }
            })
            .collect();
        Judgement {
            score: Ok(Score {
                value: -(rejected(&claims) as f64),
                coverage: Some(covered.intersection(present).count()),
            }),
            claims,
        }
    }
}

/// Claims that the judge rejects.
pub(crate) fn rejected(claims: &[Claim]) -> usize {
    let rejected = |claim: &&Claim| claim.verdict == ClaimVerdict::Rejected;
    claims.iter().filter(rejected).count()
}

impl Judge for Annotations {
    fn identity(&self) -> Value {
        let source = match &self.source {
            ObjectSource::Coco { captions, .. } if captions.is_empty() => json!("COCO instances"),
            ObjectSource::Coco { .. } => json!("COCO instances and captions"),
            ObjectSource::Column(column) => json!({ "column": column }),
        };
        json!({"judge": "annotations", "objects": source, "classes": self.vocabulary.classes().len()})
    }

    fn judge(&self, answers: &[&Candidate], data: &dyn Dataset) -> Result<Vec<Judgement>, Error> {
        let mut found = Vec::with_capacity(answers.len());
        for group in by_row(answers) {
            let present = self.present(&data.get(group[0].row)?);
            found.extend(group.iter().map(|answer| match &present {
                Ok(present) => self.one(answer, present),
                Err(why) => Judgement::none(CandidateStatus::NoAnnotation, why),
            }));
        }
        Ok(found)
    }
}

/// The names in a column.
fn names(sample: &Sample, column: &str) -> Result<Vec<String>, String> {
    if let (Some(objects), "objects") = (&sample.objects, column) {
        return Ok(objects.refs.clone());
    }
    let id = &sample.id;
    let shape = "a list of names, or names separated by commas";
    let Some(value) = sample.meta.get(column) else {
        return Err(format!("{id}: no column `{column}`; expected {shape}"));
    };
    let listed = |list: &Vec<Value>| {
        let texts = list.iter().map(|name| name.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<String>>>()
    };
    let names = match value {
        Value::String(text) => Some(text.split(',').map(|name| name.trim().to_owned()).collect()),
        Value::Array(list) => listed(list),
        _ => None,
    };
    names.ok_or_else(|| format!("{id}, {column}: found {value}; expected {shape}"))
}

/// COCO's numbers of the row's pictures.
fn image_ids(sample: &Sample) -> Result<BTreeSet<u64>, String> {
    let given = &sample.meta.get("image_id");
    let given = given.and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok()));
    if let Some(id) = given {
        return Ok(BTreeSet::from([id]));
    }
    let number = |image: &percept_data::Media| image_number(&image.path()?.to_string_lossy());
    let ids: Option<BTreeSet<u64>> = sample.images.iter().map(number).collect();
    ids.filter(|ids| !ids.is_empty()).ok_or_else(|| {
        format!(
            "{}: no image_id, and no image whose name ends in its number",
            sample.id
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_data::{Message, Role};

    /// One row with this column.
    struct Seen(Value);

    impl Dataset for Seen {
        fn len(&self) -> usize {
            1
        }

        fn get(&self, _: usize) -> Result<Sample, percept_data::Error> {
            let mut sample = Sample::new("r", vec![Message::text(Role::User, "describe")]);
            sample.meta.insert("seen".into(), self.0.clone());
            Ok(sample)
        }

        fn name(&self) -> &str {
            "seen"
        }
    }

    fn judged(objects: Value, text: &str) -> Judgement {
        let judge = Annotations::new(Vocabulary::chair(), ObjectSource::Column("seen".into()));
        let judged = judge.judge(&[&Candidate::of(0, text)], &Seen(objects));
        judged.unwrap().remove(0)
    }

    #[test]
    fn every_object_that_is_not_there_costs_one() {
        let found = judged(
            json!(["dog", "dining table"]),
            "A puppy, two dogs, a cat and a cat on a table.",
        );
        let score = found.score.unwrap();
        assert_eq!((score.value, score.coverage), (-1.0, Some(2)));
        let words: Vec<&str> = found.claims.iter().map(|c| c.claim.as_str()).collect();
        assert_eq!(words, ["puppy", "dog", "cat", "table"]);
        assert_eq!(found.claims[0].class.as_deref(), Some("dog"));
        assert_eq!(judged(json!("dog, cat"), "a dog").score.unwrap().value, 0.0);
    }

    #[test]
    fn an_answer_without_objects_and_a_row_without_annotation_have_no_score() {
        let status = |found: Judgement| found.score.unwrap_err();
        assert_eq!(
            status(judged(json!(["dog"]), "A fine day.")).0,
            CandidateStatus::NoClaims
        );
        let (what, why) = status(judged(json!(3), "a dog"));
        assert_eq!(what, CandidateStatus::NoAnnotation);
        assert!(why.contains("seen") && why.contains("found 3"), "{why}");
    }
}
