//! `choice`: the letter, or letters, of a multiple-choice question.

mod letters;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Answer, Error, Extracted, Kind, Verdict, Verifier, extract};
pub use letters::Letters;
use letters::{Named, named, plain};

/// The chosen letter, from `(B)`, `B.`, `\boxed{B}`, `<answer>B</answer>`, "The answer is B", "Option
/// B", or from the text of the option where the row has its options.
///
/// The ground truth is a letter, several letters that must all be chosen and no other (`AC`, `A, C`, `A and
/// C`), or an option's text. A response that names no letter, or hedges ("B or C", "B is wrong"), is
/// wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// Column with the options in order, a list of texts; used if the row has it.
    pub options: String,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            options: "options".into(),
        }
    }
}

impl Choice {
    fn judge(&self, answer: &Answer<'_>) -> Verdict {
        let Some(truth) = answer.ground_truth else {
            return Verdict::no_ground_truth();
        };
        let options = options(answer.meta.get(&self.options));
        let Some(right) = letters(truth, &options) else {
            return Verdict::Ungraded(no_letter(truth));
        };
        Verdict::right(chosen_letters(answer.completion, &options) == Some(right))
    }
}

fn no_letter(truth: &str) -> String {
    let shown: String = truth.chars().take(80).collect();
    format!("the ground truth `{shown}` is neither a choice letter nor one of the row's options")
}

/// The options' texts, without their letters.
fn options(column: Option<&Value>) -> Vec<String> {
    let texts = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let options: Vec<String> = match column {
        Some(Value::Array(all)) => all.iter().map(texts).collect(),
        Some(Value::Object(all)) => all.values().map(texts).collect(),
        _ => Vec::new(),
    };
    options
        .iter()
        .enumerate()
        .map(|(at, text)| match letters::option(text) {
            Some((letter, rest)) if letter as usize == 'A' as usize + at => normal(rest),
            _ => normal(text),
        })
        .collect()
}

fn normal(text: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '+' | '/' | '%' | '°');
    text.to_lowercase()
        .split(|c: char| !kept(c))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The one letter that a response chooses.
pub fn chosen(completion: &str, options: &[String]) -> Option<char> {
    chosen_letters(completion, options)?.single()
}

/// The letters that a response chooses.
pub fn chosen_letters(completion: &str, options: &[String]) -> Option<Letters> {
    let tail = extract::answer_part(completion);
    // What names no letter hides none that is stated beside it; a hedge is the answer and is none.
    let mut readings = Readings {
        options,
        found: None,
    };
    let marked = extract::marked(tail);
    let said = extract::json(tail);
    let tail = extract::settled(tail);
    let whole = tail.trim();
    let _ = readings.read(marked.as_deref())
        || readings.read(said.as_deref())
        || readings.read(extract::stated(tail))
        || readings.read(extract::stated_as(tail, "option"))
        || readings.read(extract::stated_as(tail, "choice"))
        || readings.read(letters::picked(tail))
        || readings.read((whole.len() <= 200 && !whole.contains('\n')).then_some(whole))
        || readings.lines(whole);
    readings.found
}

/// Readings of a response, one after the other, until one names letters or hedges.
struct Readings<'a> {
    options: &'a [String],
    found: Option<Letters>,
}

impl Readings<'_> {
    /// Whether the question is settled.
    fn read(&mut self, text: Option<&str>) -> bool {
        let Some(text) = text else { return false };
        match reading(text, self.options) {
            Named::Letters(letters) => {
                self.found = Some(letters);
                true
            }
            Named::Hedge => true,
            Named::Nothing => false,
        }
    }

    /// A last line that is a letter, or a first line that is one, with its option or without, before an
    /// explanation.
    fn lines(&mut self, whole: &str) -> bool {
        let mut lines = whole.lines().map(str::trim).filter(|line| !line.is_empty());
        let (first, last) = (lines.next(), lines.next_back());
        let alone = |line: Option<&str>| match line.map(|line| named(&plain(line))) {
            Some(Named::Letters(letters)) if line.is_some_and(letters::is_bare) => Some(letters),
            _ => None,
        };
        let known = |letters: &Letters| letters.known(self.options);
        let ends = alone(last).filter(known);
        let opens = alone(first).filter(known).or_else(|| {
            let (letter, _) = letters::option(first?)?;
            let others = whole.lines().skip(1).filter_map(letters::option);
            // Lines of other letters are the list of options, told once more.
            let listed = others.into_iter().any(|(other, _)| other != letter);
            (!listed).then(|| Letters::one(letter)).filter(known)
        });
        self.found = match (opens, ends) {
            (Some(a), Some(b)) => (a == b).then_some(a),
            (a, b) => b.or(a),
        };
        true
    }
}

/// What an answer's text names: letters, or the only option with that text.
fn reading(text: &str, options: &[String]) -> Named {
    let text = plain(text);
    let found = named(&text);
    if let Named::Letters(letters) = &found
        && letters.known(options)
    {
        return found;
    }
    let wanted = normal(&text);
    let mut same = ('A'..='Z')
        .zip(options)
        .filter(|(_, option)| **option == wanted);
    match (same.next(), same.next()) {
        (Some((letter, _)), None) => Named::Letters(Letters::one(letter)),
        _ if matches!(found, Named::Hedge) => Named::Hedge,
        _ => Named::Nothing,
    }
}

/// The letters that an answer's text is, or the only option with that text.
pub fn letters(text: &str, options: &[String]) -> Option<Letters> {
    let text = extract::marked(text).unwrap_or(text.into());
    match reading(&text, options) {
        Named::Letters(letters) => Some(letters),
        Named::Hedge | Named::Nothing => None,
    }
}

/// The letter that an answer's text is, or the only option with that text.
pub fn letter(text: &str, options: &[String]) -> Option<char> {
    letters(text, options)?.single()
}

impl Verifier for Choice {
    fn name(&self) -> &str {
        "choice"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        batch.iter().map(|answer| self.judge(answer)).collect()
    }

    fn extracted(&self, answer: &Answer<'_>) -> Extracted {
        let options = options(answer.meta.get(&self.options));
        match chosen_letters(answer.completion, &options) {
            Some(letters) => Extracted::Text(letters.to_string()),
            None => Extracted::Nothing("the response chooses no letter".into()),
        }
    }

    fn check_ground_truth(&self, ground_truth: &str) -> Result<(), String> {
        // Without the row's options only a letter can be told; a text may be one of them.
        if ground_truth.trim().is_empty() {
            return Err(no_letter(ground_truth));
        }
        Ok(())
    }
}

impl Kind for Choice {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        Ok(Box::new(self.clone()))
    }

    fn reads(&self, column: &str) -> bool {
        column == self.options
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn letters_in_all_their_forms() {
        for text in [
            "B",
            "(B)",
            "[B]",
            "B.",
            "B)",
            "b",
            "**B**",
            "$B$",
            "\\boxed{B}",
            "\\boxed{\\text{B}}",
            "\\boxed{(B)}",
            "<answer>B</answer>",
            "<answer> (B) the cat </answer>",
            "The answer is B.",
            "The answer is (B).",
            "The correct answer is: **B**",
            "The answer is B because of it.",
            "Answer: B. the cat",
            "Option B",
            "the correct option is B.",
            "<think>A? No.</think>\nB",
            "<think>\\boxed{A}</think>\\boxed{B}",
            "So I look.\n\n(B)",
            "B: the cat",
            "B, surely",
            "My choice is B.",
        ] {
            assert_eq!(chosen(text, &[]), Some('B'), "{text}");
        }
    }

    #[test]
    fn what_is_no_letter() {
        for text in [
            "",
            "A cat sat there",
            "I think so",
            "Before noon",
            "\\boxed{17}",
            "<answer></answer>",
            "3.B",
            "AB",
            "<think>B",
            "The answer is unclear.",
        ] {
            assert_eq!(chosen(text, &[]), None, "{text}");
        }
    }

    fn score(meta: Value, completion: &str, truth: &str) -> Option<f64> {
        let meta = meta.as_object().unwrap();
        let answer = Answer {
            completion,
            ground_truth: Some(truth),
            meta,
            ..Answer::default()
        };
        Choice::default().verify(&[answer])[0].score()
    }

    #[test]
    fn option_texts_count_as_their_letters() {
        let meta = json!({"options": ["A. 3.5 m", "B. a red bus", "C. Both"]});
        assert_eq!(
            score(meta.clone(), "<answer>A red bus</answer>", "B"),
            Some(1.0)
        );
        assert_eq!(score(meta.clone(), "\\boxed{3.5 m}", "A"), Some(1.0));
        assert_eq!(score(meta.clone(), "\\boxed{B}", "a red bus"), Some(1.0));
        assert_eq!(score(meta.clone(), "\\boxed{C}", "a red bus"), Some(0.0));
        assert_eq!(score(meta.clone(), "\\boxed{D}", "B"), Some(0.0));
        assert_eq!(score(meta, "\\boxed{B}", "a green bus"), None);
        assert_eq!(score(json!({}), "\\boxed{B}", "17"), None);
    }

    /// A10
    #[test]
    fn a_hedge_and_a_negation_choose_nothing() {
        for text in [
            "B or C",
            "\\boxed{B or C}",
            "B/C",
            "Option B is wrong",
            "B is not right",
            "(B) is wrong",
            "(B) isn't right",
            "The answer is not B",
            "The answer is B or C.",
            "The answer is either B or C",
            "Not B",
            "\\boxed{\\text{not }B}",
            "B isn't it",
            "It could be B",
            "B, or maybe C",
            "<answer>B",
            "<think>The answer is B",
            "\\boxed{B",
            "maybe B",
            "None of A, B, C",
        ] {
            assert_eq!(chosen_letters(text, &[]), None, "{text}");
        }
        for (text, letters) in [
            ("B, C", "BC"),
            ("\\boxed{AC}", "AC"),
            ("(A) and (C)", "AC"),
            ("A; D", "AD"),
            ("Both A and C", "AC"),
            ("The answer is A and C.", "AC"),
            ("\\boxed{A, C}", "AC"),
            ("\\boxed{A} and \\boxed{C}", "AC"),
            ("A、C", "AC"),
            ("故选AC", "AC"),
            ("[\"A\", \"C\"]", "AC"),
            ("Options A and C", "AC"),
        ] {
            let all: Letters = letters.chars().collect();
            assert_eq!(chosen_letters(text, &[]), Some(all), "{text}");
            assert_eq!(chosen(text, &[]), None, "{text}");
        }
    }

    /// B12
    #[test]
    fn more_ways_to_say_a_letter() {
        for text in [
            "b) dog",
            "(b) dog",
            "(B) is the one on the left",
            "B\n\nThe picture shows a dog.",
            "B. dog\n\nExplanation: it barks.",
            "**B**\nBecause A is a cat.",
            "{\"answer\": \"B\"}",
            "```json\n{\"answer\": \"B\"}\n```",
            "\\boxed{\\textrm{B}}",
            "\\boxed{\\mathsf{B}}",
            "\\boxed{\\textbf{(B)}\\ 12}",
            "\\boxed{\\bf{B}}",
            "\\boxed{B\\ (12\\text{ cm})}",
            "\\boxed{12}\nThe answer is B.",
            "So $\\boxed{12}$, which is option B. The answer is (B).",
            "故选B",
            "故选：B．",
            "答案是B。",
            "选项B",
            "答案：B",
            "Ｂ",
            "（B）",
            "B．12",
            "I choose B.",
            "I would pick (B).",
            "B is correct.",
            "Option B is the correct answer.",
            "Answer: B because A is red.",
            "B, not C",
            "B.",
            "It is B.",
            "It's (B).",
            "The correct option: B",
            "Final answer: **B. dog**",
            "The answer is option B.",
            "The answer is: $\\text{B}$",
            "the answer is b",
        ] {
            assert_eq!(chosen(text, &[]), Some('B'), "{text}");
        }
        for text in ["A. cat\nB. dog\nHard to say.", "A\nNo, wait.\nB"] {
            assert_eq!(chosen(text, &[]), None, "{text}");
        }
    }

    #[test]
    fn a_in_brackets_is_a_letter_and_a_bare_one_a_word() {
        for text in [
            "(A) cat",
            "a) cat",
            "A. cat",
            "A: cat",
            "[A] cat",
            "A because",
            "A",
        ] {
            assert_eq!(chosen(text, &[]), Some('A'), "{text}");
        }
        assert_eq!(chosen("A cat", &[]), None);
    }

    /// B13
    #[test]
    fn all_right_letters_and_no_other_must_be_chosen() {
        for (truth, completion, expected) in [
            ("AC", "A, C", 1.0),
            ("A, C", "\\boxed{CA}", 1.0),
            ("A and C", "AC.", 1.0),
            ("[\"A\", \"C\"]", "\\boxed{AC}", 1.0),
            ("AC", "A", 0.0),
            ("AC", "ABC", 0.0),
            ("AC", "A or C", 0.0),
            ("A", "A, C", 0.0),
        ] {
            assert_eq!(
                score(json!({}), completion, truth),
                Some(expected),
                "{truth} {completion}"
            );
        }
    }
}
