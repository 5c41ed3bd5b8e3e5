//! Two results of a benchmark of descriptions, picture by picture.

use std::path::{Path, PathBuf};

use clap::Args;
use percept_benchmarks::hallucination::files::rows;
use percept_benchmarks::hallucination::paired::{ByPicture, Change, changes, counted};
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
    /// Records that are no descriptions: AMBER's yes/no questions.
    others: usize,
}

fn read(list: &str) -> Result<Read, Failure> {
    let mut found = Read {
        pictures: ByPicture::new(),
        others: 0,
    };
    for folder in list.split(',') {
        let path: PathBuf = Path::new(folder).join("records.jsonl");
        let records: Vec<Value> = rows(&path, "a record of a benchmark")?;
        let before: usize = found.pictures.values().map(Vec::len).sum();
        for record in records {
            match counted(record) {
                Ok((image, counts)) => found.pictures.entry(image).or_default().push(counts),
                Err(_) => found.others += 1,
            }
        }
        let after: usize = found.pictures.values().map(Vec::len).sum();
        if after == before {
            return Err(Failure::new(format!(
                "{}: found no description with its objects; expected records of eval object-halbench, chair, scenes or \
                 amber",
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
    let found = changes(&a.pictures, &b.pictures);
    let shared = found.first().map_or(0, |change| change.first.n);
    if shared == 0 {
        return Err(Failure::new(format!(
            "{first} and {second} have no image in common"
        )));
    }
    if !global.quiet {
        for (name, read) in [(first, &a), (second, &b)] {
            let missing = read.pictures.len() - shared;
            if missing > 0 {
                note!("{name}: {missing} images that the other does not describe are left out");
            }
            if read.others > 0 {
                note!(
                    "{name}: {} records are no descriptions and are left out",
                    read.others
                );
            }
        }
    }
    let mut table = vec![cells(["", "first", "second", "difference", "gone %"])];
    table.extend(found.iter().map(line));
    let object = |change: &Change| -> Result<Value, serde_json::Error> {
        let mut object = serde_json::to_value(change)?;
        object["images"] = json!(shared);
        Ok(object)
    };
    let objects: Vec<Value> = found.iter().map(object).collect::<Result<_, _>>()?;
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
