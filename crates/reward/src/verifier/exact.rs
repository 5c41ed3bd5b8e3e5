//! `exact`: the answer is the ground truth, letter for letter, after normalisation.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Answer, Error, Extracted, Extraction, Kind, Verdict, Verifier, extract};

/// String match of the final answer with the ground truth.
///
/// The answer is the last `\boxed{…}`, else `<answer>…</answer>`, else what follows "answer is",
/// else the whole text after the thoughts. Several right answers may stand in the ground truth,
/// separated by `separator`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Exact {
    /// Compare without regard to upper and lower case. On by default: models vary it freely.
    pub ignore_case: bool,
    /// Compare without English articles and without punctuation around words and between thousands,
    /// as VQA scores do. What belongs to a number or a name stays: `3.5` is not `35`, `-5` not `5`, `C++`
    /// not `C`.
    pub ignore_punctuation: bool,
    /// Text between alternatives in the ground truth, for example `|`. Default: one answer only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
}

impl Default for Exact {
    fn default() -> Self {
        Self {
            ignore_case: true,
            ignore_punctuation: true,
            separator: None,
        }
    }
}

impl Exact {
    fn normal(&self, text: &str) -> String {
        let text = if self.ignore_case {
            text.to_lowercase()
        } else {
            text.to_owned()
        };
        let text = if self.ignore_punctuation {
            without_punctuation(&text)
        } else {
            text
        };
        let articles: &[&str] = if self.ignore_punctuation {
            &["a", "an", "the"]
        } else {
            &[]
        };
        // An answer that is nothing but an article ("A") keeps it.
        let words = || text.split_whitespace();
        let kept: Vec<&str> = words().filter(|word| !articles.contains(word)).collect();
        if kept.is_empty() {
            words().collect::<Vec<_>>().join(" ")
        } else {
            kept.join(" ")
        }
    }

    fn judge(&self, answer: &Answer<'_>) -> Verdict {
        let Some(truth) = answer.ground_truth else {
            return Verdict::no_ground_truth();
        };
        if let Err(reason) = self.check_ground_truth(truth) {
            return Verdict::Ungraded(reason);
        }
        let found = self.normal(&final_text(answer.completion));
        let right = match self.separator.as_deref() {
            Some(separator) => truth
                .split(separator)
                .any(|alternative| self.normal(alternative) == found),
            None => self.normal(truth) == found,
        };
        Verdict::right(right && !found.is_empty())
    }
}

/// Without punctuation, but for what is part of a number or a name: `3.5`, `-5`, `1/2`, `12:30`, `50%`, `C++`,
/// `C#`, `.NET`, `x-axis`. Full-width and CJK punctuation counts as punctuation.
fn without_punctuation(text: &str) -> String {
    text.split_whitespace()
        .map(|word| word.trim_matches(wrapping))
        .map(|word| {
            let word = word.trim_end_matches(closing).trim_matches(wrapping);
            word.trim_start_matches(opening)
        })
        .filter(|word| word.chars().any(|c| c.is_alphanumeric() || is_sign(c)))
        .map(|word| {
            without_separators(
                word,
                word.starts_with(|c: char| c.is_ascii_digit() || c == '-'),
            )
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Quotes, brackets and marks around a word.
fn wrapping(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | '`'
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '*'
            | '_'
            | '\u{201c}'
            | '\u{201d}'
            | '\u{2018}'
            | '\u{2019}'
            | '（'
            | '）'
            | '《'
            | '》'
            | '「'
            | '」'
            | '【'
            | '】'
    )
}

fn closing(c: char) -> bool {
    wrapping(c)
        || matches!(
            c,
            '.' | ','
                | ';'
                | ':'
                | '!'
                | '?'
                | '。'
                | '，'
                | '；'
                | '：'
                | '！'
                | '？'
                | '、'
                | '…'
        )
}

fn opening(c: char) -> bool {
    matches!(c, ',' | ';' | ':' | '!' | '?' | '¿' | '¡')
}

/// What is an answer even without a letter or digit beside it.
fn is_sign(c: char) -> bool {
    matches!(
        c,
        '+' | '-'
            | '*'
            | '/'
            | '<'
            | '>'
            | '='
            | '%'
            | '$'
            | '€'
            | '£'
            | '&'
            | '#'
            | '@'
            | '^'
            | '|'
            | '~'
    )
}

/// Thousands' commas go (`1,234` is 1234); other punctuation inside a word stays, but for apostrophes.
fn without_separators(word: &str, number: bool) -> String {
    let chars: Vec<char> = word.chars().collect();
    let digit = |at: usize| chars.get(at).is_some_and(char::is_ascii_digit);
    let kept = chars.iter().enumerate().filter(|&(at, &c)| match c {
        ',' if number => {
            let three = digit(at + 1) && digit(at + 2) && digit(at + 3) && !digit(at + 4);
            !(at > 0 && digit(at - 1) && three)
        }
        '\'' | '\u{2019}' => number,
        _ => true,
    });
    kept.map(|(_, &c)| if c == '\u{2212}' { '-' } else { c })
        .collect()
}

/// The final answer's text; the whole text after the thoughts where nothing marks it.
pub(crate) fn final_text(completion: &str) -> Cow<'_, str> {
    extract::final_answer(completion, Extraction::Auto)
        .unwrap_or_else(|| Cow::Borrowed(extract::settled(extract::answer_part(completion)).trim()))
}

impl Verifier for Exact {
    fn name(&self) -> &str {
        "exact"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        batch.iter().map(|answer| self.judge(answer)).collect()
    }

    fn extracted(&self, answer: &Answer<'_>) -> Extracted {
        let text = final_text(answer.completion);
        Extracted::of((!text.is_empty()).then_some(text))
    }

    fn check_ground_truth(&self, ground_truth: &str) -> Result<(), String> {
        if self.normal(ground_truth).is_empty() {
            return Err("the ground truth is empty after normalisation".into());
        }
        Ok(())
    }
}

impl Kind for Exact {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        if self.separator.as_deref() == Some("") {
            return Err(Error::option("separator", "\"\"", "some text"));
        }
        Ok(Box::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(options: &Exact, completion: &str, truth: &str) -> Option<f64> {
        let answer = Answer {
            completion,
            ground_truth: Some(truth),
            meta: &serde_json::Map::new(),
            ..Answer::default()
        };
        options.verify(&[answer])[0].score()
    }

    #[test]
    fn case_punctuation_and_articles_do_not_matter_by_default() {
        let options = Exact::default();
        for (completion, truth) in [
            ("<think>hm</think> The red bus.", "red bus"),
            ("<answer>Red  Bus</answer>", "a red bus"),
            (r"It is \boxed{RED BUS}", "red bus"),
            ("The answer is A.", "A"),
        ] {
            assert_eq!(
                score(&options, completion, truth),
                Some(1.0),
                "{completion}"
            );
        }
        assert_eq!(score(&options, "blue", "red"), Some(0.0));
        assert_eq!(score(&options, "", "red"), Some(0.0));
        assert_eq!(score(&options, "red", " ."), None);
    }

    #[test]
    fn strictness_and_alternatives_are_options() {
        let strict = Exact {
            ignore_case: false,
            ignore_punctuation: false,
            separator: Some("|".into()),
        };
        assert_eq!(score(&strict, "Red", "red|blue"), Some(0.0));
        assert_eq!(score(&strict, "blue", "red|blue"), Some(1.0));
    }

    /// A9
    #[test]
    fn punctuation_inside_numbers_and_names_is_meaning() {
        let options = Exact::default();
        for (truth, wrong) in [
            ("3.5", "35"),
            ("-5", "5"),
            ("1/2", "12"),
            ("C++", "C"),
            ("C#", "C"),
            ("12:30", "1230"),
            ("50%", "50"),
            ("$5", "5"),
            ("<", ">"),
            ("2^3", "23"),
            ("1,2", "12"),
            ("a.m.", "am"),
            ("x-y", "xy"),
            ("12.000", "12000"),
            ("2019-05-03", "20190503"),
        ] {
            assert_eq!(score(&options, wrong, truth), Some(0.0), "{truth} {wrong}");
            assert_eq!(score(&options, truth, wrong), Some(0.0), "{truth} {wrong}");
            assert_eq!(
                score(&options, &format!("**{truth}**."), truth),
                Some(1.0),
                "{truth}"
            );
        }
        for (truth, right) in [
            ("red bus", "\"Red, bus!\""),
            ("1,234", "1234"),
            ("St. Louis", "St Louis"),
            ("dont", "don't"),
            ("yes", "Yes."),
            ("red bus", "(the red bus)"),
            ("正方形", "正方形。"),
            ("-5", "\u{2212}5"),
        ] {
            assert_eq!(score(&options, right, truth), Some(1.0), "{truth} {right}");
        }
    }
}
