//! POPE: is this object in the picture? Yes/no questions, half of them about absent objects.
//!
//! Published numbers come from programs that read the same answer differently, so each is a
//! [`Parser`] here and all are reported side by side. "yes" is the positive class. Intervals are
//! over pictures, because the questions of one picture are not independent.
//! Source: Li et al., EMNLP 2023 (arXiv 2305.10355); AoiDragon/POPE `evaluate.py`; VLMEvalKit
//! `YOrN_Extraction` and `POPE_rating`; lmms-eval `tasks/pope/utils.py`. Identical with all three
//! on `tests/golden/pope.json`.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use percept_eval::Estimate;
use percept_eval::stats::SHARE;
use percept_eval::stats::intervals;

/// The splits, as the official files are named: `coco_pope_random.json`, ….
pub const SPLITS: [&str; 3] = ["random", "popular", "adversarial"];

/// What is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// The object is there.
    Yes,
    /// It is not.
    No,
}

/// A line of an official file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Number in its file, from 1.
    pub question_id: u64,
    /// File name of the picture.
    pub image: String,
    /// The question.
    pub text: String,
    /// The right answer.
    pub label: Label,
}

/// Who reads the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parser {
    /// The authors' script: no if the first sentence has "No", "no" or "not" as a word, else yes.
    Original,
    /// VLMEvalKit without a judge: the one of "yes" and "no" that occurs as a word; else nothing.
    Vlmevalkit,
    /// lmms-eval: the whole answer is "yes" or "no", in any case; else nothing.
    Lmms,
}

impl Parser {
    /// Every parser, the authors' first.
    pub const ALL: [Parser; 3] = [Parser::Original, Parser::Vlmevalkit, Parser::Lmms];

    /// As in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Parser::Original => "original",
            Parser::Vlmevalkit => "vlmevalkit",
            Parser::Lmms => "lmms",
        }
    }

    /// What an answer says; nothing where the program makes neither yes nor no of it.
    ///
    /// ```
    /// use percept_benchmarks::hallucination::pope::{Label, Parser};
    ///
    /// let answer = "There is a cat, not a dog. No!";
    /// assert_eq!(Parser::Original.parse("Perhaps."), Some(Label::Yes));
    /// assert_eq!(Parser::Original.parse(answer), Some(Label::No));
    /// assert_eq!(Parser::Vlmevalkit.parse(answer), Some(Label::No));
    /// assert_eq!(Parser::Lmms.parse(answer), None);
    /// ```
    pub fn parse(self, answer: &str) -> Option<Label> {
        match self {
            Parser::Original => Some(original(answer)),
            Parser::Vlmevalkit => vlmevalkit(answer),
            Parser::Lmms => match answer.to_lowercase().trim() {
                "yes" => Some(Label::Yes),
                "no" => Some(Label::No),
                _ => None,
            },
        }
    }
}

impl FromStr for Parser {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Parser::ALL.into_iter().find(|parser| parser.name() == text);
        found.ok_or_else(|| format!("{text:?} is no parser: original, vlmevalkit or lmms"))
    }
}

fn original(answer: &str) -> Label {
    let sentence = answer.split('.').next().unwrap_or(answer).replace(',', "");
    // Split at single blanks: "No\n" is not the word "No".
    let denies = sentence
        .split(' ')
        .any(|word| matches!(word, "No" | "no" | "not"));
    if denies { Label::No } else { Label::Yes }
}

fn vlmevalkit(answer: &str) -> Option<Label> {
    let text = without_punctuation(&answer.to_lowercase());
    let has = |word: &str| text.split_whitespace().any(|w| w == word);
    match (has("yes"), has("no")) {
        (true, false) => Some(Label::Yes),
        (false, true) => Some(Label::No),
        _ => None,
    }
}

/// VLMEvalKit's `process_punctuation`, the one of the VQA challenge: a mark is dropped where it ever
/// stands beside a blank or the text has a number like 1,000; else it becomes a blank.
fn without_punctuation(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let number =
        |window: &[char]| window[0].is_numeric() && window[1] == ',' && window[2].is_numeric();
    let thousands = chars.windows(3).any(number);
    let mut kept: Vec<char> = Vec::with_capacity(chars.len());
    for &c in &chars {
        if !";/[]\"{}()=+\\_-><@`,?!".contains(c) {
            kept.push(c);
            continue;
        }
        let beside = |w: &[char]| w == [c, ' '] || w == [' ', c];
        if !thousands && !chars.windows(2).any(beside) {
            kept.push(' ');
        }
    }
    // A count was passed where flags were meant: at most 32 periods go.
    let mut left = 32;
    let digit = |at: Option<usize>| {
        at.and_then(|at| kept.get(at))
            .is_some_and(|c| c.is_numeric())
    };
    let mut out = String::with_capacity(kept.len());
    for (at, &c) in kept.iter().enumerate() {
        if c == '.' && left > 0 && !digit(at.checked_sub(1)) && !digit(Some(at + 1)) {
            left -= 1;
            continue;
        }
        out.push(c);
    }
    out
}

/// A question that was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// `random`, `popular`, `adversarial` or the name of one's own file.
    pub split: String,
    /// The question.
    #[serde(flatten)]
    pub question: Question,
    /// The raw answer.
    pub answer: String,
}

/// One parser's numbers of one split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Share of right answers; what a parser cannot read is wrong.
    pub accuracy: Estimate,
    /// Of those read as yes, how many are.
    pub precision: Estimate,
    /// Of what is there, how much is found. lmms-eval leaves out what it cannot read, VLMEvalKit
    /// counts it as missed.
    pub recall: Estimate,
    /// Harmonic mean of both.
    pub f1: Estimate,
    /// Share of answers read as yes. (lmms-eval prints the share of *labels* under this name.)
    pub yes_ratio: Estimate,
    /// Answers that are neither yes nor no to this parser.
    pub unparsed: usize,
    /// Questions.
    pub questions: usize,
}

/// Numbers of a parser. A ratio over nothing is 0, as in VLMEvalKit and lmms-eval.
pub fn score<'a>(parser: Parser, rows: impl IntoIterator<Item = &'a Answered>) -> Scores {
    const ROW: usize = 6;
    let mut images: BTreeMap<&str, [f64; ROW]> = BTreeMap::new();
    for row in rows {
        let cell = match (parser.parse(&row.answer), row.question.label) {
            (Some(Label::Yes), Label::Yes) => 0,
            (Some(Label::Yes), Label::No) => 1,
            (Some(Label::No), Label::No) => 2,
            (Some(Label::No), Label::Yes) => 3,
            (None, Label::Yes) => 4,
            (None, Label::No) => 5,
        };
        images.entry(&row.question.image).or_insert([0.0; ROW])[cell] += 1.0;
    }
    let images: Vec<[f64; ROW]> = images.into_values().collect();
    let or_zero = |a: f64, b: f64| if b == 0.0 { 0.0 } else { a / b };
    let [accuracy, precision, recall, f1, yes_ratio] = intervals(&images, [SHARE; 5], |cells| {
        let [tp, fp, tn, fn_, unread_yes, unread_no] = *cells;
        let all = tp + fp + tn + fn_ + unread_yes + unread_no;
        let missed = match parser {
            Parser::Lmms => fn_,
            Parser::Original | Parser::Vlmevalkit => fn_ + unread_yes,
        };
        let (precision, recall) = (or_zero(tp, tp + fp), or_zero(tp, tp + missed));
        let f1 = or_zero(2.0 * precision * recall, precision + recall);
        [
            or_zero(tp + tn, all),
            precision,
            recall,
            f1,
            or_zero(tp + fp, all),
        ]
    });
    let count = |cells: &[usize]| -> usize {
        let of = |image: &[f64; ROW]| cells.iter().map(|c| image[*c]).sum::<f64>();
        images.iter().map(of).sum::<f64>() as usize
    };
    Scores {
        accuracy,
        precision,
        recall,
        f1,
        yes_ratio,
        unparsed: count(&[4, 5]),
        questions: count(&[0, 1, 2, 3, 4, 5]),
    }
}

/// One split with every parser's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Its name; `all` for the union.
    pub split: String,
    /// In the order of [`Parser::ALL`].
    pub parsers: Vec<(Parser, Scores)>,
}

/// Every split in the order of its first question and, where there are several, their union.
pub fn summarise(rows: &[Answered]) -> Vec<Split> {
    let mut names: Vec<&str> = Vec::new();
    for row in rows {
        if !names.contains(&row.split.as_str()) {
            names.push(&row.split);
        }
    }
    let split = |name: &str, whole: bool| {
        let of = |parser| {
            let mine = rows.iter().filter(|row| whole || row.split == name);
            (parser, score(parser, mine))
        };
        Split {
            split: name.to_owned(),
            parsers: Parser::ALL.map(of).into(),
        }
    };
    let mut found: Vec<Split> = names.iter().map(|name| split(name, false)).collect();
    if names.len() > 1 {
        found.push(split("all", true));
    }
    found
}
