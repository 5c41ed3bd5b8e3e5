//! Reading a whole data set before it costs anything: every row, every image, every answer.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::check::key::{key, pair_key};
use crate::check::pairs::{PairChecks, PairTokens, check_pair};
use crate::check::problem::{Problem, ProblemKind, RowTokens};
use crate::check::report::CheckReport;
use crate::error::shorten;
use crate::{Dataset, Error, Sample};

/// A row of a set of pairs that is none.
const NO_PAIR: &str = "no preference pair: a preference stage learns nothing from it\n  help: a pair has a chosen \
                       answer, and rejected answers or pictures (data.columns.chosen, rejected, rejected_images)";

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
    /// Whether the parts of an answer that supervised training masks are there.
    pub spans: &'a (dyn Fn(&Sample) -> Result<(), String> + Sync),
    /// Tokens of a pair's answers and the longest of them that a forward pass takes; none where nothing learns from
    /// pairs, which are then not checked.
    pub pairs: Option<PairChecks<'a>>,
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
            spans: &|_| Ok(()),
            pairs: None,
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
            if let Some(first) = row.opposite.and_then(|key| seen.get(&key)) {
                row.contradicts(first);
            }
            if let Some(key) = row.key {
                match seen.get(&key) {
                    Some(first) => row.duplicates(first),
                    None => {
                        let (id, answers) = (row.id.clone(), std::mem::take(&mut row.answers));
                        seen.insert(key, First { id, answers });
                    }
                }
            }
            if let (Some(sample), true) = (&row.sample, checks.pairs.is_some()) {
                report.pairs.add(sample, row.pair_tokens.take());
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
    /// The key of a pair that prefers what this one rejects.
    opposite: Option<[u8; 32]>,
    answers: Vec<String>,
    sample: Option<Sample>,
    unread: Vec<String>,
    tokens: Option<RowTokens>,
    pair_tokens: Option<PairTokens>,
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

    fn contradicts(&mut self, first: &First) {
        let message = format!(
            "prefers the answer that {} rejects\n  help: one of the two is wrong; drop it",
            first.id
        );
        self.problem(ProblemKind::Contradiction, None, message);
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
        opposite: None,
        answers: Vec::new(),
        sample: None,
        unread: Vec::new(),
        tokens: None,
        pair_tokens: None,
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
    let pair = sample
        .preference
        .as_ref()
        .filter(|_| checks.pairs.is_some());
    let rejected = pair.into_iter().flat_map(|pair| &pair.rejected_images);
    let pictures = sample.images.iter().chain(rejected.flatten());
    let broken = pictures.chain(frames);
    match broken.map(crate::Media::decode).find_map(Result::err) {
        Some(error) => row.unreadable(&error),
        None => {
            row.key = match pair {
                // Several pairs of one question are no repetition.
                Some(_) => pair_key(&sample, false),
                None => key(&sample),
            };
            row.opposite = pair
                .and_then(|_| pair_key(&sample, true))
                .filter(|key| Some(*key) != row.key);
            match (checks.tokens)(&sample) {
                Ok(found) => {
                    row.tokens = Some(found);
                    match (pair, &checks.pairs) {
                        (Some(pair), Some(checks)) => {
                            let (tokens, findings) = check_pair(&sample, pair, found, checks);
                            row.pair_tokens = tokens;
                            for (kind, field, message) in findings {
                                row.problem(kind, field.as_deref(), message);
                            }
                        }
                        (None, Some(_)) => {
                            row.problem(ProblemKind::Target, None, NO_PAIR.to_owned())
                        }
                        (_, None) => {}
                    }
                    match (checks.target)(&sample) {
                        Err(message) => row.problem(ProblemKind::Target, None, message),
                        Ok(()) => {
                            if let Err(message) = (checks.spans)(&sample) {
                                row.problem(ProblemKind::Span, None, message);
                            }
                        }
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
