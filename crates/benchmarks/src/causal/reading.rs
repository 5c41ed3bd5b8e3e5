//! How a reply becomes yes or no.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::question::Answer;
use crate::hallucination::pope::{Label, Parser};

/// Whose rule reads the replies. A reply that a rule makes nothing of counts as "no", as the authors'
/// `else` does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// The authors': yes if the reply contains "yes" in any case (so "eyes" is a yes), else no.
    #[default]
    Original,
    /// POPE's script: no if the first sentence denies, else yes.
    Pope,
    /// VLMEvalKit: the one of both words that occurs.
    Vlmevalkit,
    /// lmms-eval: the whole reply is the word.
    Lmms,
}

impl Reading {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Original, Self::Pope, Self::Vlmevalkit, Self::Lmms];

    /// As in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Pope => "pope",
            Self::Vlmevalkit => "vlmevalkit",
            Self::Lmms => "lmms",
        }
    }

    /// What a reply says.
    ///
    /// ```
    /// use percept_benchmarks::causal::{Answer, Reading};
    ///
    /// assert_eq!(Reading::Original.read("YES, there is."), Answer::Yes);
    /// assert_eq!(Reading::Original.read("I see two eyes."), Answer::Yes);
    /// assert_eq!(Reading::Vlmevalkit.read("I see two eyes."), Answer::No);
    /// ```
    pub fn read(self, reply: &str) -> Answer {
        let parser = match self {
            Self::Original => {
                return match reply.to_lowercase().contains("yes") {
                    true => Answer::Yes,
                    false => Answer::No,
                };
            }
            Self::Pope => Parser::Original,
            Self::Vlmevalkit => Parser::Vlmevalkit,
            Self::Lmms => Parser::Lmms,
        };
        match parser.parse(reply) {
            Some(Label::Yes) => Answer::Yes,
            Some(Label::No) | None => Answer::No,
        }
    }
}

impl FromStr for Reading {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|reading| reading.name() == text);
        found.ok_or_else(|| format!("{text:?} is no parser: original, pope, vlmevalkit or lmms"))
    }
}
