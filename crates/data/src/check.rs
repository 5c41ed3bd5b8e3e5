//! Reading a whole data set before it costs anything: every row, every image, every answer.

use std::collections::HashMap;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::shorten;
use crate::{Dataset, Error, Part, Sample, Unread};

/// What a caller knows about a row that this crate does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowTokens {
    /// Tokens of the prompt, image tokens included.
    pub prompt: usize,
    /// Tokens that stand for images and videos.
    pub image: usize,
}

/// Kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// The row cannot be read or has no usable prompt.
    Row,
    /// An image is missing, damaged or too large.
    Image,
    /// The prompt is longer than the limit.
    Overlong,
    /// The verifier cannot use the ground truth, or there is none.
    Answer,
    /// Supervised training has nothing to learn from the row.
    Target,
    /// Same prompt and images as an earlier row, but another answer: one of the two is wrong.
    Contradiction,
    /// Same prompt and images as an earlier row.
    Duplicate,
}

impl ProblemKind {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Image => "image",
            Self::Overlong => "overlong",
            Self::Answer => "answer",
            Self::Target => "target",
            Self::Contradiction => "contradiction",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether training would lose the row or learn something wrong; a duplicate only costs.
    pub fn is_error(self) -> bool {
        self != Self::Duplicate
    }
}

/// One problem of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The row: its id, or `file:row` when it cannot be read.
    pub id: String,
    /// The field inside the row, where one is to blame: `images[0]`.
    pub field: Option<String>,
    /// What kind.
    pub kind: ProblemKind,
    /// What, where, what was expected, what to do.
    pub message: String,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckReport {
    /// Rows read.
    pub rows: usize,
    /// Problems in row order.
    pub problems: Vec<Problem>,
    /// Prompt tokens of the readable rows.
    pub prompt_tokens: Vec<usize>,
    /// Image tokens of the readable rows.
    pub image_tokens: Vec<usize>,
    /// What rows say and nothing uses.
    pub unread: Unread,
}

impl CheckReport {
    /// Number of problems of one kind: duplicates, overlong prompts, …
    pub fn count(&self, kind: ProblemKind) -> usize {
        self.problems.iter().filter(|p| p.kind == kind).count()
    }

    /// Whether training would lose no row.
    pub fn is_clean(&self) -> bool {
        !self.problems.iter().any(|p| p.kind.is_error())
    }
}

/// Rows that are read together; bounds memory.
const CHUNK: usize = 256;

/// What a caller knows of a row, asked once for each.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    /// Longest prompt, in tokens.
    pub max_prompt_length: usize,
    /// Counts tokens (and thereby decodes the images).
    pub tokens: &'a (dyn Fn(&Sample) -> Result<RowTokens, String> + Sync),
    /// Tries the ground truth.
    pub answer: &'a (dyn Fn(&Sample) -> Result<(), String> + Sync),
    /// Whether supervised training has something to learn from the row.
    pub target: &'a (dyn Fn(&Sample) -> Result<(), String> + Sync),
    /// Whether something reads a column that no convention knows.
    pub used: &'a (dyn Fn(&str) -> bool + Sync),
    /// What else of the row nothing uses.
    pub unread: &'a (dyn Fn(&Sample) -> Vec<String> + Sync),
}

impl Default for Checks<'_> {
    /// Every row passes.
    fn default() -> Self {
        Self {
            max_prompt_length: usize::MAX,
            tokens: &|_| Ok(RowTokens::default()),
            answer: &|_| Ok(()),
            target: &|_| Ok(()),
            used: &|_| false,
            unread: &|_| Vec::new(),
        }
    }
}

/// Reads every row of `dataset`; `progress` hears of rows done and in all.
pub fn check_rows(
    dataset: &dyn Dataset,
    checks: &Checks<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> CheckReport {
    let mut report = CheckReport {
        rows: dataset.len(),
        ..CheckReport::default()
    };
    let mut seen: HashMap<[u8; 32], First> = HashMap::new();
    for start in (0..dataset.len()).step_by(CHUNK) {
        let end = dataset.len().min(start + CHUNK);
        let rows: Vec<Row> = (start..end)
            .into_par_iter()
            .map(|i| row(dataset, i, checks))
            .collect();
        for mut row in rows {
            if let Some(key) = row.key {
                match seen.get(&key) {
                    Some(first) => row.duplicates(first),
                    None => {
                        let (id, answers) = (row.id.clone(), std::mem::take(&mut row.answers));
                        seen.insert(key, First { id, answers });
                    }
                }
            }
            if let Some(tokens) = row.tokens {
                report.prompt_tokens.push(tokens.prompt);
                report.image_tokens.push(tokens.image);
            }
            report.problems.append(&mut row.problems);
            if let Some(sample) = &row.sample {
                report.unread.add(sample, checks.used, row.unread);
            }
        }
        progress(end, dataset.len());
    }
    report
}

/// The first row with some prompt and images.
struct First {
    id: String,
    answers: Vec<String>,
}

struct Row {
    id: String,
    key: Option<[u8; 32]>,
    answers: Vec<String>,
    sample: Option<Sample>,
    unread: Vec<String>,
    tokens: Option<RowTokens>,
    problems: Vec<Problem>,
}

impl Row {
    fn problem(&mut self, kind: ProblemKind, field: Option<&str>, message: String) {
        self.problems.push(Problem {
            id: self.id.clone(),
            field: field.map(str::to_owned),
            kind,
            message,
        });
    }

    /// A row or one of its images that cannot be read.
    fn unreadable(&mut self, error: &Error) {
        let kind = match error {
            Error::Media(_) => ProblemKind::Image,
            _ => ProblemKind::Row,
        };
        self.problem(kind, error.report().field.as_deref(), error.to_string());
    }

    fn duplicates(&mut self, first: &First) {
        let agrees = self
            .answers
            .iter()
            .any(|answer| first.answers.contains(answer));
        if agrees || self.answers.is_empty() || first.answers.is_empty() {
            let message = format!("same prompt and images as {}", first.id);
            return self.problem(ProblemKind::Duplicate, None, message);
        }
        let message = format!(
            "same prompt and images as {}, but another answer (found {}, there {})\n  help: one of the two is wrong; drop it",
            first.id,
            shown(&self.answers),
            shown(&first.answers)
        );
        self.problem(ProblemKind::Contradiction, None, message);
    }
}

fn shown(answers: &[String]) -> String {
    let quoted = answers
        .iter()
        .map(|text| format!("\"{}\"", shorten(text, 60)));
    quoted.collect::<Vec<_>>().join(" or ")
}

/// `file:row` of an error, as the id of a row that has none.
fn place(error: &Error) -> Option<String> {
    let report = error.report();
    let file = report.file.as_ref()?.file_name()?.to_string_lossy();
    Some(format!("{file}:{}", report.row?))
}

fn row(dataset: &dyn Dataset, index: usize, checks: &Checks<'_>) -> Row {
    let max_prompt_length = checks.max_prompt_length;
    let mut row = Row {
        id: format!("row {}", index + 1),
        key: None,
        answers: Vec::new(),
        sample: None,
        unread: Vec::new(),
        tokens: None,
        problems: Vec::new(),
    };
    let sample = match dataset.get(index) {
        Ok(sample) => sample,
        Err(error) => {
            row.id = place(&error).unwrap_or(row.id);
            row.unreadable(&error);
            return row;
        }
    };
    row.id = sample.id.clone();
    let answers = sample.answer.iter().chain(&sample.alternatives);
    row.answers = answers.cloned().collect();
    let frames = sample.videos.iter().flat_map(|v| &v.frames);
    let broken = sample.images.iter().chain(frames);
    match broken.map(crate::Media::decode).find_map(Result::err) {
        Some(error) => row.unreadable(&error),
        None => {
            row.key = key(&sample);
            match (checks.tokens)(&sample) {
                Ok(found) => {
                    row.tokens = Some(found);
                    if let Err(message) = (checks.target)(&sample) {
                        row.problem(ProblemKind::Target, None, message);
                    }
                    if found.prompt > max_prompt_length {
                        row.problem(
                            ProblemKind::Overlong,
                            None,
                            format!(
                                "prompt of {} tokens ({} of them image tokens), limit {max_prompt_length}\n  help: raise data.max_prompt_length or lower data.max_pixels",
                                found.prompt, found.image
                            ),
                        );
                    }
                }
                Err(message) => row.problem(ProblemKind::Row, None, message),
            }
        }
    }
    if let Err(message) = (checks.answer)(&sample) {
        row.problem(ProblemKind::Answer, Some("answer"), message);
    }
    row.unread = (checks.unread)(&sample);
    row.sample = Some(sample);
    row
}

/// Hash of the prompt and its media: of everything that makes two rows the same question.
fn key(sample: &Sample) -> Option<[u8; 32]> {
    let mut hasher = Sha256::new();
    let tagged = |hasher: &mut Sha256, tag: u8, len: usize| {
        hasher.update([tag]);
        hasher.update((len as u64).to_le_bytes());
    };
    for message in &sample.messages {
        tagged(&mut hasher, message.role as u8, message.content.len());
        for part in &message.content {
            match part {
                Part::Text(text) => {
                    tagged(&mut hasher, 10, text.len());
                    hasher.update(text);
                }
                Part::Image(index) => {
                    tagged(&mut hasher, 11, 1);
                    hasher.update(sample.images.get(*index)?.hash().ok()?);
                }
                Part::Video(index) => {
                    let frames = &sample.videos.get(*index)?.frames;
                    tagged(&mut hasher, 12, frames.len());
                    for frame in frames {
                        hasher.update(frame.hash().ok()?);
                    }
                }
            }
        }
    }
    Some(hasher.finalize().into())
}
