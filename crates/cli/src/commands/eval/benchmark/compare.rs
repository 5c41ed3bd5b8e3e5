//! Two results of a benchmark of descriptions, picture by picture; of AMBER's yes/no questions, question by question.

use std::path::{Path, PathBuf};

use clap::Args;
use percept_benchmarks::hallucination::amber::Choice;
use percept_benchmarks::hallucination::files::rows;
use percept_benchmarks::hallucination::paired::{ByPicture, Change, changes, counted};
use percept_benchmarks::hallucination::paired_choices::{ByQuestion, choice_changes};
use percept_eval::Estimate;
use serde_json::{Value, json};

use super::output::{cells, number, percent, print};
use crate::shared::output::note;
use crate::shared::{Done, Failure, Global};

/// Two results.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Compare two output folders picture by picture: the change from the first to the second. Several seeds of a model
    /// are separated by commas: B-0,B-1.
    #[arg(long, num_args = 2, value_names = ["RUN_A", "RUN_B"], conflicts_with_all = ["model", "endpoint", "output"])]
    pub compare: Vec<String>,
}

impl CompareArgs {
    /// The two results, where they are to be compared.
    pub fn pair(&self) -> Option<(&str, &str)> {
        match self.compare.as_slice() {
            [first, second] => Some((first.as_str(), second.as_str())),
            _ => None,
        }
    }
}

/// The counts of one model: of every folder of a list.
struct Read {
    pictures: ByPicture,
    questions: ByQuestion,
    /// Records that are neither.
    others: usize,
}

impl Read {
    fn records(&self) -> usize {
        let answers: usize = self.questions.values().map(Vec::len).sum();
        self.pictures.values().map(Vec::len).sum::<usize>() + answers
    }
}

fn read(list: &str) -> Result<Read, Failure> {
    let mut found = Read {
        pictures: ByPicture::new(),
        questions: ByQuestion::new(),
        others: 0,
    };
    for folder in list.split(',') {
        let path: PathBuf = Path::new(folder).join("records.jsonl");
        let records: Vec<Value> = rows(&path, "a record of a benchmark")?;
        let before = found.records();
        for record in records {
            if let Ok((image, counts)) = counted(record.clone()) {
                found.pictures.entry(image).or_default().push(counts);
            } else if let Ok(choice) = serde_json::from_value::<Choice>(record) {
                found.questions.entry(choice.id).or_default().push(choice);
            } else {
                found.others += 1;
            }
        }
        if found.records() == before {
            return Err(Failure::new(format!(
                "{}: found neither a description with its objects nor an answer to a yes/no question of AMBER; expected \
                 records of eval object-halbench, chair, scenes or amber",
                path.display()
            )));
        }
    }
    Ok(found)
}

/// Prints what changes from the first model to the second.
pub fn compare(first: &str, second: &str, global: &Global) -> Result<Done, Failure> {
    if first.split(',').count() != second.split(',').count() {
        return Err(Failure::new(format!(
            "--compare {first} {second}: expected as many folders of the second model as of the first"
        )));
    }
    let [a, b] = [read(first)?, read(second)?];
    let mut described = changes(&a.pictures, &b.pictures);
    let shared = described.first().map_or(0, |change| change.first.n);
    if shared == 0 {
        described.clear();
    }
    let answered = choice_changes(&a.questions, &b.questions);
    if shared == 0 && answered.is_empty() {
        return Err(Failure::new(format!(
            "{first} and {second} have no image in common, and no question"
        )));
    }
    if !global.quiet {
        let asked = answered.first().map_or(0, |(_, change)| change.first.n);
        for (name, read) in [(first, &a), (second, &b)] {
            for (all, shared, what) in [
                (read.pictures.len(), shared, "images"),
                (read.questions.len(), asked, "questions"),
            ] {
                if all > shared {
                    let missing = all - shared;
                    note!("{name}: {missing} {what} that the other does not have are left out");
                }
            }
            if read.others > 0 {
                note!(
                    "{name}: {} records are neither descriptions nor yes/no questions and are left out",
                    read.others
                );
            }
        }
    }
    let mut table = vec![cells(["", "first", "second", "difference", "gone %"])];
    table.extend(described.iter().map(line));
    table.extend(answered.iter().map(|(group, change)| {
        let metric = if change.metric == "f1" {
            "F1"
        } else {
            change.metric
        };
        let shown = [&change.first, &change.second, &change.difference].map(percent);
        let mut row = vec![format!("yes/no, {group}: {metric} %")];
        row.extend(shown);
        row.push("–".to_owned());
        row
    }));
    let object =
        |change: &Change, fields: [(&str, Value); 2]| -> Result<Value, serde_json::Error> {
            let mut object = serde_json::to_value(change)?;
            for (name, value) in fields {
                object[name] = value;
            }
            Ok(object)
        };
    let described = described.iter().map(|change| {
        object(
            change,
            [("images", json!(shared)), ("part", json!("descriptions"))],
        )
    });
    let answered = answered.iter().map(|(group, change)| {
        let questions = json!(change.first.n);
        object(change, [("questions", questions), ("part", json!(group))])
    });
    let objects: Vec<Value> = described.chain(answered).collect::<Result<_, _>>()?;
    print(global, &table, &objects)?;
    Ok(Done::Well)
}

fn line(change: &Change) -> Vec<String> {
    let shown: fn(&Estimate) -> String = match change.metric {
        "words" => |value| number(value, 1),
        _ => percent,
    };
    let name = match change.metric {
        "mention" => "mention level %",
        "response" => "response level %",
        "response_of_all" => "response, of all answers %",
        "coverage" => "coverage %",
        _ => "words",
    };
    vec![
        name.to_owned(),
        shown(&change.first),
        shown(&change.second),
        shown(&change.difference),
        percent(&change.reduction),
    ]
}
