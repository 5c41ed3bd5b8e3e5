//! Held-out answers for the page: `eval/*.jsonl`, one question with its picture and what each stage
//! answered.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percept_data::media_type;
use serde_json::{Value, json};

use crate::{Error, RunDir, Summary};

/// How much of the answers a page holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Questions.
    pub questions: usize,
    /// Bytes of text.
    pub text: usize,
    /// Bytes of pictures, before base64.
    pub pictures: usize,
}

impl Budget {
    /// Where answers are not asked for: their files are not even read.
    pub const NONE: Self = Self {
        questions: 0,
        text: 0,
        pictures: 0,
    };
    /// For a file that is sent to others.
    pub const FILE: Self = Self {
        questions: 300,
        text: 2 << 20,
        pictures: 2 << 20,
    };
    /// For a page that this machine serves.
    pub const SERVED: Self = Self {
        questions: 2_000,
        text: 16 << 20,
        pictures: 32 << 20,
    };
}

/// `{stages, items, images, total}`: an item is a question, its `by` one answer for each stage, null
/// where that stage did not answer it. Of several responses to a question the first is shown.
///
/// # Errors
/// A file that cannot be read, or a line in it that is no JSON.
pub(crate) fn of_run(run: &RunDir, summary: &Summary, budget: Budget) -> Result<Value, Error> {
    if budget.questions == 0 {
        return Ok(Value::Null);
    }
    let folder = run.evaluations();
    let mut stages = Vec::new();
    let mut order: Vec<String> = Vec::new();
    let mut items: HashMap<String, (Value, Vec<Value>)> = HashMap::new();
    for stage in &summary.stages {
        let path = folder.join(format!("{}.jsonl", stage.name));
        if !path.is_file() {
            continue;
        }
        let at = stages.len();
        stages.push(stage.name.as_str());
        for record in records(&path)? {
            let Some(id) = record["id"].as_str() else {
                continue;
            };
            let (_, by) = items.entry(id.to_owned()).or_insert_with(|| {
                order.push(id.to_owned());
                (record.clone(), Vec::new())
            });
            by.resize(at.max(by.len()), Value::Null);
            if by.len() == at {
                by.push(answer(&record));
            }
        }
    }
    let total = order.len();
    let mut left = budget;
    let mut pictures = Pictures::default();
    let mut shown = Vec::new();
    for id in order.iter().take(budget.questions) {
        let Some((question, mut by)) = items.remove(id) else {
            continue;
        };
        by.resize(stages.len(), Value::Null);
        let item = json!({
            "id": id,
            "question_type": question["question_type"],
            "prompt": question["prompt"],
            "answer": question["answer"],
            "by": by,
        });
        let size = item.to_string().len();
        if size > left.text {
            break;
        }
        left.text -= size;
        shown.push(pictures.of(item, &question, &folder, &mut left));
    }
    Ok(json!({ "stages": stages, "items": shown, "images": pictures.sources, "total": total }))
}

fn records(path: &Path) -> Result<Vec<Value>, Error> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let lines = text.lines().enumerate();
    let filled = lines.filter(|(_, line)| !line.trim().is_empty());
    filled
        .map(|(row, line)| {
            serde_json::from_str(line).map_err(|error| Error::Invalid {
                path: path.to_path_buf(),
                row: Some(row + 1),
                what: format!("not a judged response: {error}"),
                help: "remove the line; the rest of the report does not need it",
            })
        })
        .collect()
}

fn answer(record: &Value) -> Value {
    let verdict = match record["score"].as_f64() {
        None => "ungraded",
        Some(score) if score >= 1.0 => "right",
        Some(score) if score > 0.0 => "partial",
        Some(_) => "wrong",
    };
    json!({
        "completion": record["completion"],
        "verdict": verdict,
        "score": record["score"],
        "parts": record["parts"],
        "finish_reason": record["finish_reason"],
        "tokens": record["tokens"],
    })
}

#[derive(Default)]
struct Pictures {
    known: BTreeMap<String, Option<usize>>,
    sources: Vec<String>,
}

impl Pictures {
    /// Adds the question's pictures to an item: indices, null for one that does not fit.
    fn of(&mut self, mut item: Value, question: &Value, folder: &Path, left: &mut Budget) -> Value {
        let names = question["images"].as_array().into_iter().flatten();
        let indices: Vec<Option<usize>> = names
            .filter_map(Value::as_str)
            .map(|name| self.index(name, folder, left))
            .collect();
        item["images"] = json!(indices);
        item
    }

    fn index(&mut self, name: &str, folder: &Path, left: &mut Budget) -> Option<usize> {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        // Only what an evaluation wrote beside its records.
        let plain = !name.contains("..") && Path::new(name).is_relative();
        let bytes = plain.then(|| fs::read(folder.join(name)).ok()).flatten();
        let fits = bytes.filter(|bytes| bytes.len() <= left.pictures);
        let index = fits.and_then(|bytes| {
            let kind = media_type(&bytes)?;
            left.pictures -= bytes.len();
            let data = STANDARD.encode(&bytes);
            self.sources.push(format!("data:{kind};base64,{data}"));
            Some(self.sources.len() - 1)
        });
        self.known.insert(name.to_owned(), index);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_base::files::write_atomic;

    use crate::StageSummary;

    // F3
    #[test]
    fn a_question_has_what_every_stage_answered_and_its_picture() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(&folder.path().join("a")).unwrap();
        let eval = run.evaluations();
        let line = |id: &str, score: Value, said: &str| {
            json!({"id": id, "question_type": "sum", "prompt": "How many?", "completion": said, "answer": "3",
                "score": score, "parts": [], "tokens": 1, "finish_reason": "stop", "images": ["pictures/x.png"]})
            .to_string()
                + "\n"
        };
        write_atomic(&eval.join("pictures/x.png"), b"\x89PNG....").unwrap();
        let base = line("a", json!(0.0), "two") + &line("b", Value::Null, "?");
        write_atomic(&eval.join("base.jsonl"), base.as_bytes()).unwrap();
        write_atomic(
            &eval.join("rl.jsonl"),
            line("a", json!(1.0), "three").as_bytes(),
        )
        .unwrap();
        let stage = |name: &str| StageSummary {
            name: name.into(),
            ..Default::default()
        };
        let summary = Summary {
            stages: ["base", "sft", "rl"].map(stage).to_vec(),
            ..Default::default()
        };
        let found = of_run(&run, &summary, Budget::FILE).unwrap();
        assert_eq!(found["stages"], json!(["base", "rl"]));
        assert_eq!(found["total"], 2);
        let first = &found["items"][0];
        assert_eq!(first["by"][0]["verdict"], "wrong");
        assert_eq!(first["by"][1]["completion"], "three");
        assert_eq!(first["images"], json!([0]));
        assert_eq!(
            found["items"][1]["by"],
            json!([found["items"][1]["by"][0], null])
        );
        assert_eq!(found["items"][1]["by"][0]["verdict"], "ungraded");
        assert_eq!(found["images"].as_array().unwrap().len(), 1);
    }
}
