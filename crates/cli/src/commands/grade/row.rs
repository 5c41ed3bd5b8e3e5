//! From a row of a file to the completions that are judged.

use std::path::Path;

use percept_data::right_answers;
use percept_reward::Answer;
use serde_json::{Map, Value};

/// Which columns hold what; none: by convention.
#[derive(Debug, Default)]
pub struct Columns {
    pub completion: Option<String>,
    pub answer: Option<String>,
    /// The recipe's expert: what is judged where the row has no completion.
    pub expert: Option<String>,
    pub prompt: Option<String>,
    pub id: Option<String>,
}

/// One completion with what is needed to judge it.
#[derive(Debug)]
pub struct Completion {
    /// Line or place of its row.
    pub number: usize,
    pub id: String,
    /// Which of the row's completions, where it has a list of them.
    pub sample: Option<usize>,
    pub completion: String,
    /// The right answers; the response need be one of them.
    pub answers: Vec<String>,
    prompt: String,
    /// The prompt where the row has it as messages: what TRL's functions get.
    messages: Option<Value>,
    finished: bool,
    n_tokens: usize,
    meta: Map<String, Value>,
    /// What a person says about the completion.
    pub right: Option<bool>,
    pub kind: Option<String>,
}

impl Completion {
    /// The view that verifiers judge.
    pub fn answer(&self) -> Answer<'_> {
        Answer {
            completion: &self.completion,
            ground_truth: self.answers.first().map(String::as_str),
            alternatives: self.answers.get(1..).unwrap_or_default(),
            prompt: &self.prompt,
            finished: self.finished,
            n_tokens: self.n_tokens,
            meta: &self.meta,
            token_ids: &[],
            messages: self.messages.as_ref(),
        }
    }

    /// One text, a list of several, or null.
    pub fn answers_json(&self) -> Value {
        match self.answers.as_slice() {
            [] => Value::Null,
            [one] => one.as_str().into(),
            all => all.iter().map(String::as_str).collect(),
        }
    }
}

const COMPLETIONS: [&str; 4] = ["completion", "completions", "response", "output"];
const ANSWERS: [&str; 4] = ["answer", "solution", "ground_truth", "gts"];
const PROMPTS: [&str; 6] = [
    "prompt",
    "messages",
    "problem",
    "question",
    "query",
    "conversations",
];

impl Columns {
    /// The completions of a row.
    ///
    /// # Errors
    /// Why it has none, with file and line.
    pub fn read(
        &self,
        file: &Path,
        number: usize,
        mut row: Map<String, Value>,
    ) -> Result<Vec<Completion>, String> {
        let bad = |message: String| format!("{}:{number}: {message}", file.display());
        let (name, value) = self.completion(&mut row).map_err(bad)?;
        let texts = completions(&name, value).map_err(bad)?;
        let answers = self.answers(&mut row).map_err(bad)?;
        let prompt = self
            .prompt
            .iter()
            .map(String::as_str)
            .chain(PROMPTS)
            .find_map(|name| row.remove(name).filter(|value| !value.is_null()));
        let messages = prompt.clone().filter(Value::is_array);
        let prompt = prompt.map(|value| self::prompt(&value)).unwrap_or_default();
        let id = row.remove(self.id.as_deref().unwrap_or("id"));
        let id = match id {
            Some(Value::String(id)) => id,
            Some(Value::Null) | None => {
                let file = file.file_name().unwrap_or_default().to_string_lossy();
                format!("{file}:{number}")
            }
            Some(other) => other.to_string(),
        };
        let given = Completion {
            number,
            id,
            sample: None,
            completion: String::new(),
            answers,
            prompt,
            messages,
            finished: finished(&row),
            n_tokens: n_tokens(&row),
            right: row.get("right").and_then(Value::as_bool),
            kind: row.get("kind").and_then(Value::as_str).map(str::to_owned),
            meta: row,
        };
        Ok(match texts {
            Texts::One(text) => vec![Completion {
                completion: text,
                ..given
            }],
            Texts::Several(texts) => (texts.into_iter().enumerate())
                .map(|(sample, text)| given.with(sample, text))
                .collect(),
        })
    }

    fn completion(&self, row: &mut Map<String, Value>) -> Result<(String, Value), String> {
        let names: Vec<&str> = match &self.completion {
            Some(name) => vec![name],
            None => COMPLETIONS
                .into_iter()
                .chain(self.expert.as_deref())
                .collect(),
        };
        for name in &names {
            if let Some(value) = row.remove(*name).filter(|value| !value.is_null()) {
                return Ok(((*name).to_owned(), value));
            }
        }
        let there: Vec<&str> = row.keys().map(String::as_str).collect();
        Err(format!(
            "row has no completion (found columns {}, expected {})\n  help: name the column with --completion",
            there.join(", "),
            names.join(", ")
        ))
    }

    fn answers(&self, row: &mut Map<String, Value>) -> Result<Vec<String>, String> {
        if let Some(name) = &self.answer {
            return match row.remove(name) {
                Some(value) => Ok(right_answers(value)),
                None => Err(format!(
                    "row has no column `{name}`, where the right answer was said to be"
                )),
            };
        }
        let found = ANSWERS
            .into_iter()
            .find_map(|name| row.remove(name).filter(|value| !value.is_null()));
        let found = found.or_else(|| row.get("reward_model")?.get("ground_truth").cloned());
        Ok(found.map(right_answers).unwrap_or_default())
    }
}

impl Completion {
    fn with(&self, sample: usize, completion: String) -> Self {
        Self {
            number: self.number,
            id: self.id.clone(),
            sample: Some(sample),
            completion,
            answers: self.answers.clone(),
            prompt: self.prompt.clone(),
            messages: self.messages.clone(),
            finished: self.finished,
            n_tokens: self.n_tokens,
            meta: self.meta.clone(),
            right: self.right,
            kind: self.kind.clone(),
        }
    }
}

enum Texts {
    One(String),
    Several(Vec<String>),
}

/// A text, messages whose last turn of the assistant counts, or a list of either.
fn completions(name: &str, value: Value) -> Result<Texts, String> {
    let wrong = |value: &Value| {
        let shown: String = value.to_string().chars().take(60).collect();
        format!(
            "{name}: not a completion (found {shown}, expected text, a list of texts, or messages with a turn of the assistant)"
        )
    };
    match value {
        Value::String(text) => Ok(Texts::One(text)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let text = spoken(&items).ok_or_else(|| wrong(&Value::Array(items.clone())))?;
            Ok(Texts::One(text))
        }
        Value::Array(items) if !items.is_empty() => {
            let texts = items.into_iter().map(|item| match item {
                Value::String(text) => Ok(text),
                Value::Array(turns) => spoken(&turns).ok_or_else(|| wrong(&Value::Array(turns))),
                other => Err(wrong(&other)),
            });
            Ok(Texts::Several(texts.collect::<Result<_, _>>()?))
        }
        other => Err(wrong(&other)),
    }
}

/// What the assistant says last.
fn spoken(turns: &[Value]) -> Option<String> {
    let turn = turns.iter().rev().find(|turn| {
        let role = turn["role"].as_str().or_else(|| turn["from"].as_str());
        role.is_some_and(|role| role.eq_ignore_ascii_case("assistant") || role == "gpt")
    })?;
    content(turn)
}

fn content(turn: &Value) -> Option<String> {
    let said = turn.get("content").or_else(|| turn.get("value"))?;
    match said {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => Some(parts.iter().filter_map(|p| p["text"].as_str()).collect()),
        _ => None,
    }
}

/// A question's text, or what the user says in messages.
fn prompt(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(turns) => {
            let asked = turns.iter().filter(|turn| {
                let role = turn["role"].as_str().or_else(|| turn["from"].as_str());
                role.is_some_and(|role| role.eq_ignore_ascii_case("user") || role == "human")
            });
            asked.filter_map(content).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}

/// Whether the model ended the response itself; where the row does not say, it did.
fn finished(row: &Map<String, Value>) -> bool {
    match (row.get("finished"), row.get("finish_reason")) {
        (Some(Value::Bool(finished)), _) => *finished,
        (_, Some(Value::String(reason))) => reason != "length",
        _ => true,
    }
}

/// Response tokens; 0 where the row does not say.
fn n_tokens(row: &Map<String, Value>) -> usize {
    ["n_tokens", "tokens", "token_ids", "completion_ids"]
        .into_iter()
        .find_map(|name| match row.get(name)? {
            Value::Number(number) => number.as_u64().map(|n| n as usize),
            Value::Array(tokens) => Some(tokens.len()),
            _ => None,
        })
        .unwrap_or(0)
}
