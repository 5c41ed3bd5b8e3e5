//! Object HalBench: hallucinated objects in detailed descriptions, each object counted once.
//!
//! `mention level = hallucinated objects / objects`, `response level = answers with a hallucinated
//! object / answers with any object`: unlike CHAIR_s it leaves out answers that name no COCO object.
//! An object is a word, so "dog" and "puppy" of one answer are two. Source: RLHF-V (arXiv
//! 2312.00849) and RLAIF-V (arXiv 2405.17220), `eval/eval_gpt_obj_halbench.py`.
//!
//! There, GPT-3.5 lists the objects of an answer and spaCy's tagger joins nouns. Here the word rules
//! of [`Vocabulary::object_halbench`] find them, or a judge lists them ([`extraction_prompt`]) and
//! the last word or pair of each entry counts. Neither is the published extraction: compare models
//! under one of them, not with published numbers.

use std::collections::HashSet;

use serde::Serialize;

use super::chair::Caption;
use super::vocabulary::{Mention, Vocabulary};
use percept_eval::Estimate;
use percept_eval::stats::{ANY, SHARE};
use percept_eval::stats::{intervals, ratio};

/// Objects that the word rules find, every word once.
pub fn objects(vocabulary: &Vocabulary, answer: &str) -> Vec<Mention> {
    once(vocabulary.mentions(answer))
}

/// Objects that a judge listed, every word once: of each entry the last object that it mentions, so
/// that "wooden dining table" and "table top clock" are a table and a clock.
pub fn listed_objects(vocabulary: &Vocabulary, list: &[String]) -> Vec<Mention> {
    let last = |entry: &String| vocabulary.mentions(entry).pop();
    once(list.iter().filter_map(last).collect())
}

fn once(mut mentions: Vec<Mention>) -> Vec<Mention> {
    let mut seen = HashSet::new();
    mentions.retain(|mention| seen.insert(mention.word.clone()));
    mentions
}

/// Answers of at most this many words are not shown to a judge: they name no object.
pub const SHORT: usize = 3;

/// What a judge is asked: which visible objects an answer names. Our wording of the task that the
/// published script sets.
pub fn extraction_prompt(question: &str, answer: &str) -> String {
    format!(
        "Below are a question about a picture and an answer to it. Suppose that the answer is correct and list \
         the visible objects that it names.\n\nQuestion: {question}\n\nAnswer: {answer}\n\n\
         List only objects that the answer itself names, each by its bare name without colour, material, size \
         or number. Reply with a JSON array of strings and nothing else, [] if the answer names no visible object."
    )
}

/// The list in a judge's reply: a JSON array of strings, alone, on its last line or in a code block.
///
/// # Errors
/// What the reply holds instead.
pub fn parse_list(reply: &str) -> Result<Vec<String>, String> {
    let text = reply.trim();
    let last = text.lines().next_back().unwrap_or(text);
    let inner = text.find('[').zip(text.rfind(']'));
    let inner = inner.and_then(|(start, end)| text.get(start..=end));
    let tried = [Some(text), Some(last), inner];
    let found = tried
        .into_iter()
        .flatten()
        .find_map(|t| serde_json::from_str(t).ok());
    found.ok_or_else(|| {
        let start: String = text.chars().take(80).collect();
        format!("a reply that holds no JSON array of strings: {start:?}")
    })
}

/// The answers in numbers; intervals over answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectHalbench {
    /// Hallucinated objects / objects (CHAIR_i).
    pub mention: Estimate,
    /// Answers with a hallucinated object / answers with an object (the refined CHAIR_s).
    pub response: Estimate,
    /// Answers with a hallucinated object / answers (CHAIR_s).
    pub response_of_all: Estimate,
    /// Classes of the pictures that the answers name / classes of the pictures.
    pub recall: Estimate,
    /// Mean length in words.
    pub length: Estimate,
    /// Answers.
    pub answers: usize,
    /// Answers with an object.
    pub answers_with_objects: usize,
    /// Objects.
    pub objects: usize,
}

/// The numbers of judged answers.
pub fn summarise(answers: &[Caption]) -> ObjectHalbench {
    let row = |a: &Caption| {
        [
            1.0,
            f64::from(!a.mentioned.is_empty()),
            a.mentioned.len() as f64,
            a.hallucinated.len() as f64,
            f64::from(!a.hallucinated.is_empty()),
            a.present.len() as f64,
            a.covered as f64,
            a.length as f64,
        ]
    };
    let rows: Vec<[f64; 8]> = answers.iter().map(row).collect();
    let [mention, response, response_of_all, recall, length] =
        intervals(&rows, [SHARE, SHARE, SHARE, SHARE, ANY], |s| {
            [
                ratio(s[3], s[2]),
                ratio(s[4], s[1]),
                ratio(s[4], s[0]),
                ratio(s[6], s[5]),
                ratio(s[7], s[0]),
            ]
        });
    ObjectHalbench {
        mention,
        response,
        response_of_all,
        recall,
        length,
        answers: answers.len(),
        answers_with_objects: answers.iter().filter(|a| !a.mentioned.is_empty()).count(),
        objects: answers.iter().map(|a| a.mentioned.len()).sum(),
    }
}
