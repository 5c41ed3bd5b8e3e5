//! What can be wrong with a preference pair, and what the pairs of a data set are like.

use crate::check::problem::{ProblemKind, RowTokens};
use crate::{Error, Media, Message, Preference, Sample};

/// What a caller knows of pairs.
#[derive(Clone, Copy)]
pub struct PairChecks<'a> {
    /// Counts the tokens of a pair's answers.
    pub tokens: &'a (dyn Fn(&Sample) -> Result<PairTokens, String> + Sync),
    /// Longest prompt with an answer, in tokens.
    pub max_length: usize,
    /// The recipe's field of this limit, for messages.
    pub limit: &'a str,
}

/// Tokens of a pair's answers, without the prompt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PairTokens {
    /// Of the chosen answer.
    pub chosen: usize,
    /// Of each rejected one.
    pub rejected: Vec<usize>,
    /// Of everything that the loss contrasts, as one forward pass holds it.
    pub pass: usize,
}

/// The pairs of a data set by what differs in them, and how long their answers are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PairCounts {
    /// Pairs of answers to the same pictures.
    pub language: usize,
    /// Pairs of pictures with one answer.
    pub visual: usize,
    /// Rows that have both.
    pub both: usize,
    /// Tokens of the chosen answers of rows that have rejected ones.
    pub chosen_tokens: Vec<usize>,
    /// Tokens of the rejected answers, a mean for each of these rows.
    pub rejected_tokens: Vec<f64>,
}

/// Chosen answers that are longer than this many times the rejected ones: a loss over summed log-probabilities can
/// then be lowered by length alone (R-DPO, arXiv 2403.19159, and SimPO start from such data).
const MUCH_LONGER: f64 = 1.25;

impl PairCounts {
    /// All pairs.
    pub fn all(&self) -> usize {
        self.language + self.visual + self.both
    }

    pub(super) fn add(&mut self, sample: &Sample, tokens: Option<PairTokens>) {
        let Some(pair) = &sample.preference else {
            return;
        };
        match (pair.rejected.is_empty(), pair.rejected_images.is_empty()) {
            (false, true) => self.language += 1,
            (true, _) => self.visual += 1,
            (false, false) => self.both += 1,
        }
        let tokens = tokens.filter(|tokens| !tokens.rejected.is_empty());
        if let Some(tokens) = tokens {
            let sum: usize = tokens.rejected.iter().sum();
            self.rejected_tokens
                .push(sum as f64 / tokens.rejected.len() as f64);
            self.chosen_tokens.push(tokens.chosen);
        }
    }

    /// Mean tokens of chosen and of rejected answers, over rows that have both.
    pub fn mean_tokens(&self) -> Option<(f64, f64)> {
        let count = self.chosen_tokens.len() as f64;
        let chosen: usize = self.chosen_tokens.iter().sum();
        let rejected: f64 = self.rejected_tokens.iter().sum();
        (count > 0.0).then_some((chosen as f64 / count, rejected / count))
    }

    /// What is said where chosen answers are much longer.
    pub fn length_bias(&self) -> Option<String> {
        let (chosen, rejected) = self.mean_tokens()?;
        let longer = self.chosen_tokens.iter().zip(&self.rejected_tokens);
        let longer = longer
            .filter(|(chosen, rejected)| **chosen as f64 > **rejected)
            .count();
        (chosen > MUCH_LONGER * rejected).then(|| {
            format!(
                "chosen answers are {:.1} times as long as rejected ones (longer in {longer} of {} pairs): a loss can \
                 prefer length to content\n  help: pair answers of like length, or use a loss that counts per token \
                 (simpo, ipo, dpo with ld_alpha)",
                chosen / rejected.max(f64::MIN_POSITIVE),
                self.chosen_tokens.len()
            )
        })
    }
}

/// A problem of a pair: what kind, in which field, in words.
pub(super) type Finding = (ProblemKind, Option<String>, String);

/// Tokens and problems of a pair whose pictures can be read.
pub(super) fn check_pair(
    sample: &Sample,
    pair: &Preference,
    prompt: RowTokens,
    checks: &PairChecks<'_>,
) -> (Option<PairTokens>, Vec<Finding>) {
    let mut findings = Vec::new();
    for (index, rejected) in pair.rejected.iter().enumerate() {
        let field = numbered("rejected", index, pair.rejected.len());
        findings.extend(answers(field, &pair.chosen, rejected));
    }
    for (index, set) in pair.rejected_images.iter().enumerate() {
        let field = numbered("rejected_images", index, pair.rejected_images.len());
        match pictures(&field, &sample.images, set) {
            Ok(found) => findings.extend(found),
            Err(error) => findings.push((ProblemKind::Image, Some(field), error.to_string())),
        }
    }
    let tokens = match (checks.tokens)(sample) {
        Ok(tokens) => tokens,
        Err(message) => {
            findings.push((ProblemKind::Row, None, message));
            return (None, findings);
        }
    };
    findings.extend(overlong(prompt, &tokens, checks));
    (Some(tokens), findings)
}

fn numbered(field: &str, index: usize, of: usize) -> String {
    match of {
        1 => field.to_owned(),
        _ => format!("{field}[{index}]"),
    }
}

fn answers(field: String, chosen: &[Message], rejected: &[Message]) -> Option<Finding> {
    let said = |turns: &[Message], keep: fn(char) -> bool| -> Vec<(String, String)> {
        let turn = |turn: &Message| {
            let text = turn.plain_text().chars().filter(|c| keep(*c)).collect();
            (
                text,
                serde_json::Value::Object(turn.fields.clone()).to_string(),
            )
        };
        turns.iter().map(turn).collect()
    };
    let message = if said(chosen, |_| true) == said(rejected, |_| true) {
        "chosen and rejected answer are equal\n  help: drop it; it teaches nothing"
    } else if said(chosen, |c| !c.is_whitespace()) == said(rejected, |c| !c.is_whitespace()) {
        "chosen and rejected answer differ only in white space\n  help: drop it; it teaches white space alone"
    } else {
        return None;
    };
    Some((ProblemKind::Pair, Some(field), message.to_owned()))
}

/// Rejected pictures beside the real ones.
fn pictures(field: &str, real: &[Media], rejected: &[Media]) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let mut equal = 0;
    for (index, (real, rejected)) in real.iter().zip(rejected).enumerate() {
        let (a, b) = (real.decode()?, rejected.decode()?);
        if a.dimensions() != b.dimensions() {
            let ((width, height), (w, h)) = (a.dimensions(), b.dimensions());
            findings.push((
                ProblemKind::PictureSize,
                Some(format!("{field}[{index}]")),
                format!(
                    "the rejected picture is {w} × {h} and the real one {width} × {height}: their numbers of image \
                     tokens may differ"
                ),
            ));
        } else if a == b {
            equal += 1;
        }
    }
    if equal > 0 && equal == rejected.len() {
        let message =
            "the rejected picture is the real one\n  help: drop it; the pair teaches nothing"
                .to_owned();
        findings.push((ProblemKind::Pair, Some(field.to_owned()), message));
    }
    Ok(findings)
}

/// A pair that no forward pass takes.
fn overlong(prompt: RowTokens, tokens: &PairTokens, checks: &PairChecks<'_>) -> Option<Finding> {
    if tokens.pass <= checks.max_length {
        return None;
    }
    let limit = checks.max_length;
    let through = match prompt.image > 0 && limit < prompt.prompt {
        true => "; a cut at the limit would go through its prompt, where the pictures stand",
        false => "",
    };
    let message = format!(
        "pair of {} tokens (prompt {}, {} of them image tokens; chosen {}, rejected {:?}), limit {limit}{through}\n  \
         help: raise {} or lower data.max_pixels",
        tokens.pass, prompt.prompt, prompt.image, tokens.chosen, tokens.rejected, checks.limit
    );
    Some((ProblemKind::Overlong, None, message))
}
