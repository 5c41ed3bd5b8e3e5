//! `choice`: the letter of a multiple-choice question.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Answer, Error, Kind, Verdict, Verifier, extract};

/// The chosen letter, from `(B)`, `B.`, `\boxed{B}`, `<answer>B</answer>`, "The answer is B", "Option
/// B", or from the text of the option where the row has its options.
///
/// The ground truth is a letter or an option's text. A response that names no letter is wrong.
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
        let Some(right) = letter(truth, &options) else {
            return Verdict::Ungraded(no_letter(truth));
        };
        Verdict::right(chosen(answer.completion, &options) == Some(right))
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
        .map(|(at, text)| match marked(text) {
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

/// The letter that a response chooses.
pub fn chosen(completion: &str, options: &[String]) -> Option<char> {
    let tail = extract::after_thinking(completion);
    let marked = extract::boxed(tail)
        .or_else(|| extract::boxed(completion))
        .or_else(|| extract::tagged(tail, "<answer>", "</answer>"));
    if let Some(text) = marked {
        return letter(text, options);
    }
    let whole = tail.trim();
    ["answer", "option", "choice"]
        .into_iter()
        .find_map(|word| letter(extract::stated_as(tail, word)?, options))
        .or_else(|| {
            let short = whole.len() <= 200 && !whole.contains('\n');
            short.then(|| letter(whole, options))?
        })
        .or_else(|| alone(whole.lines().last()?).filter(|&found| known(found, options)))
}

/// The letter that an answer's text is, or the only option with that text.
pub fn letter(text: &str, options: &[String]) -> Option<char> {
    let text = unwrapped(text);
    let found = alone(text).or_else(|| marked(text).map(|(letter, _)| letter));
    if let Some(letter) = found.filter(|&found| known(found, options)) {
        return Some(letter);
    }
    let wanted = normal(text);
    let mut same = (b'A'..=b'Z')
        .zip(options)
        .filter(|(_, option)| **option == wanted);
    match (same.next(), same.next()) {
        (Some((letter, _)), None) => Some(char::from(letter)),
        _ => None,
    }
}

/// Whether there is such an option, as far as the options are known.
fn known(letter: char, options: &[String]) -> bool {
    options.is_empty() || (letter as usize - 'A' as usize) < options.len()
}

/// Without `$`, `**`, `\text{…}` and "option" around it.
fn unwrapped(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let mut shorter =
            text.trim_matches(['$', '*', ' ', '"', '\'', '`', '\u{201c}', '\u{201d}']);
        for open in [
            "\\text{",
            "\\textbf{",
            "\\mathrm{",
            "\\mathbf{",
            "\\boxed{",
            "{",
        ] {
            if let Some(inner) = shorter.strip_prefix(open) {
                shorter = inner.strip_suffix('}').unwrap_or(inner);
                break;
            }
        }
        for word in ["option", "choice", "answer"] {
            if shorter
                .get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
                && shorter[word.len()..].starts_with([' ', ':', '('])
            {
                shorter = shorter[word.len()..].trim_start_matches([' ', ':']);
            }
        }
        if shorter.len() == text.len() {
            return text;
        }
        text = shorter;
    }
}

/// `B`, `b`, `(B)`, `[B]`, `B.`, and nothing else.
fn alone(text: &str) -> Option<char> {
    let text = text.trim().trim_start_matches(['(', '[', '*', '$']);
    let text = text.trim_end_matches([')', ']', '.', ':', ',', '*', '$', '}', '!']);
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii_alphabetic() => Some(c.to_ascii_uppercase()),
        _ => None,
    }
}

/// `(B) text`, `B. text`, `B: text`, `B because`: the letter and what follows. A bare `A` or `I`
/// before a word is an English word.
fn marked(text: &str) -> Option<(char, &str)> {
    let text = text.trim();
    let bracketed = text.starts_with(['(', '[']);
    let inner = text.trim_start_matches(['(', '[']);
    let mut chars = inner.chars();
    let letter = chars.next().filter(char::is_ascii_uppercase)?;
    let rest = chars.as_str();
    let mark = rest.chars().next()?;
    let ends = match mark {
        ')' | ']' => true,
        '.' | ':' | ',' | '*' | '}' => {
            !rest[1..].starts_with(|c: char| c.is_alphanumeric()) || mark == ':'
        }
        '\n' => true,
        ' ' => !bracketed && !matches!(letter, 'A' | 'I'),
        _ => false,
    };
    ends.then(|| (letter, rest[mark.len_utf8()..].trim()))
}

impl Verifier for Choice {
    fn name(&self) -> &str {
        "choice"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        batch.iter().map(|answer| self.judge(answer)).collect()
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
            alternatives: &[],
            prompt: "",
            finished: true,
            n_tokens: 0,
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
}
