//! `format`: the response thinks between tags, then answers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Answer, Error, Kind, Verdict, Verifier, extract};

/// 1 when the response is `<think>…</think>` followed by an answer and nothing else.
///
/// The thoughts come first and are not blank; every tag stands exactly once; the answer is not
/// blank. Whether the answer is right is not asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Format {
    /// Tag that opens the thoughts.
    pub think_open: String,
    /// Tag that closes them.
    pub think_close: String,
    /// The chat template has already opened the thoughts (Qwen3's does): the response must not.
    pub prefilled: bool,
    /// Ask for the answer between tags, for example `["<answer>", "</answer>"]`, with nothing
    /// around them. Default: any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_tags: Option<[String; 2]>,
    /// Ask for a `\boxed{…}` in the answer.
    pub boxed: bool,
}

impl Default for Format {
    fn default() -> Self {
        Self {
            think_open: "<think>".into(),
            think_close: "</think>".into(),
            prefilled: false,
            answer_tags: None,
            boxed: false,
        }
    }
}

impl Format {
    fn holds(&self, completion: &str) -> bool {
        let text = completion.trim();
        let text = if self.prefilled {
            text
        } else if let Some(rest) = text.strip_prefix(&self.think_open) {
            rest
        } else {
            return false;
        };
        let Some((thoughts, rest)) = text.split_once(&self.think_close) else {
            return false;
        };
        let tags = [Some(&self.think_open), Some(&self.think_close)]
            .into_iter()
            .chain(self.answer_tags.iter().flatten().map(Some))
            .flatten();
        for tag in tags {
            if thoughts.contains(tag.as_str()) {
                return false;
            }
        }
        if rest.contains(&self.think_open) || rest.contains(&self.think_close) {
            return false;
        }
        let Some(answer) = self.answer(rest.trim()) else {
            return false;
        };
        !thoughts.trim().is_empty()
            && !answer.trim().is_empty()
            && (!self.boxed || extract::boxed(answer).is_some_and(|inside| !inside.is_empty()))
    }

    /// The text between the answer tags, which stand once and around everything.
    fn answer<'a>(&self, rest: &'a str) -> Option<&'a str> {
        let Some([open, close]) = &self.answer_tags else {
            return Some(rest);
        };
        let inside = rest
            .strip_prefix(open.as_str())?
            .strip_suffix(close.as_str())?;
        (!inside.contains(open.as_str()) && !inside.contains(close.as_str())).then_some(inside)
    }
}

impl Verifier for Format {
    fn name(&self) -> &str {
        "format"
    }

    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict> {
        batch
            .iter()
            .map(|answer| Verdict::right(self.holds(answer.completion)))
            .collect()
    }

    fn needs_ground_truth(&self) -> bool {
        false
    }

    fn check_ground_truth(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

impl Kind for Format {
    fn build(&self) -> Result<Box<dyn Verifier>, Error> {
        let tags = [&self.think_open, &self.think_close];
        for tag in tags.into_iter().chain(self.answer_tags.iter().flatten()) {
            if tag.trim().is_empty() {
                return Err(Error::option("tags", "an empty tag", "some text"));
            }
        }
        Ok(Box::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_then_answer() {
        let format = Format::default();
        for (text, expected) in [
            ("<think>I see 3 7.</think> \\boxed{10}", true),
            ("\n<think>\na\n</think>\n\nb\n", true),
            ("<think></think> b", false),
            ("<think>a</think> ", false),
            ("<think>a", false),
            ("a</think> b", false),
            ("so <think>a</think> b", false),
            ("<think>a</think> b </think> c", false),
            ("<think>a<think>b</think> c", false),
            ("<think>a</think><think>b</think> c", false),
            ("", false),
        ] {
            assert_eq!(format.holds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_prefilled_tag_must_not_be_repeated() {
        let format = Format {
            prefilled: true,
            ..Format::default()
        };
        assert!(format.holds("a</think> b"));
        assert!(!format.holds("<think>a</think> b"));
    }

    #[test]
    fn answer_tags_stand_once_around_everything() {
        let format = Format {
            answer_tags: Some(["<answer>".into(), "</answer>".into()]),
            boxed: true,
            ..Format::default()
        };
        for (text, expected) in [
            ("<think>a</think><answer>\\boxed{1}</answer>", true),
            ("<think>a</think> <answer> \\boxed{1} </answer>\n", true),
            ("<think>a</think><answer>1</answer>", false),
            ("<think>a</think><answer>\\boxed{}</answer>", false),
            ("<think>a</think><answer>\\boxed{1}</answer> so", false),
            ("<think>a</think> so <answer>\\boxed{1}</answer>", false),
            ("<think>a<answer></think><answer>\\boxed{1}</answer>", false),
            (
                "<think>a</think><answer>\\boxed{1}</answer><answer>2</answer>",
                false,
            ),
            ("<think>a</think>\\boxed{1}", false),
        ] {
            assert_eq!(format.holds(text), expected, "{text}");
        }
    }

    #[test]
    fn empty_tags_are_refused() {
        let format = Format {
            think_open: String::new(),
            ..Format::default()
        };
        assert!(format.build().is_err());
    }
}
