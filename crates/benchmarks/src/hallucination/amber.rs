//! AMBER: descriptions against annotated objects, and yes/no questions about existence, attributes
//! and relations, from the benchmark's own files.
//!
//! Source: Wang et al. (arXiv 2311.07397), junyangwang0410/AMBER `inference.py`. Its numbers are
//! rounded to a tenth of a percent, F1 is made of rounded parts, and every denominator starts at
//! 0.001; so here, with intervals added.
//!
//! Two steps of the original need models that percept does not have, so numbers of the generative
//! part differ from published ones: nouns are the words of the association vocabulary (the original
//! first keeps what NLTK tags as a noun), and words match exactly or by association (the original
//! also accepts spaCy vectors with a similarity above 0.8).

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::singular::lemma;
use super::tokens::word_tokens;
use percept_eval::Estimate;
use percept_eval::stats::SHARE;
use percept_eval::stats::intervals;

/// Every count that divides starts here (`metrics.txt`).
const START: f64 = 0.001;

/// An entry of `annotations.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Annotation {
    /// Number of the item, from 1.
    pub id: u64,
    /// `generative`, `discriminative-hallucination`, `discriminative-attribute-state`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// Objects of the picture, or the right answer.
    pub truth: Truth,
    /// Objects that are likely to be hallucinated.
    #[serde(default)]
    pub hallu: Vec<String>,
}

/// What is right.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Truth {
    /// Objects of the picture.
    Objects(Vec<String>),
    /// `yes` or `no`.
    Answer(String),
}

/// `relation.json`: words that count as one another.
#[derive(Debug, Clone, Default)]
pub struct Associations {
    of: HashMap<String, Vec<String>>,
    words: HashSet<String>,
    /// `safe_words.txt`: words that are never wrong.
    safe: HashSet<String>,
}

impl Associations {
    /// From the texts of `relation.json` and `safe_words.txt`.
    ///
    /// # Errors
    /// The first is no object of lists of words.
    pub fn parse(relation: &str, safe_words: &str) -> Result<Self, serde_json::Error> {
        let of: HashMap<String, Vec<String>> = serde_json::from_str(relation)?;
        let words = of
            .iter()
            .flat_map(|(word, others)| std::iter::once(word).chain(others));
        Ok(Self {
            words: words.cloned().collect(),
            safe: safe_words.lines().map(str::to_owned).collect(),
            of,
        })
    }

    /// The words of a text that the vocabulary has, in its singular and in the text's case.
    pub fn nouns(&self, text: &str) -> Vec<String> {
        let tokens = word_tokens(text);
        let words = tokens
            .iter()
            .map(|token| lemma(token, |w| self.words.contains(w)));
        words
            .filter(|word| self.words.contains(&**word))
            .map(|word| word.into_owned())
            .collect()
    }

    /// Each word that stands for one of `objects`, and which one: associations first, as the original
    /// searches them.
    fn standing_for<'a>(&'a self, objects: &'a [String]) -> Vec<(&'a str, usize)> {
        let associated = objects.iter().enumerate().flat_map(|(at, object)| {
            let others = self
                .of
                .get(object)
                .map_or(&[] as &[String], |others| others);
            others.iter().map(move |other| (other.as_str(), at))
        });
        let own = objects
            .iter()
            .enumerate()
            .map(|(at, object)| (object.as_str(), at));
        associated.chain(own).collect()
    }
}

/// A description, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// The item.
    pub id: u64,
    /// The description.
    pub response: String,
    /// Its nouns.
    pub nouns: Vec<String>,
    /// Nouns that stand for nothing in the picture.
    pub unmatched: Vec<String>,
    /// Objects of the picture, and how many are named.
    pub truth: usize,
    /// Objects of the picture that are named.
    pub covered: usize,
    /// Objects that are likely to be hallucinated.
    pub targets: usize,
    /// Those of them that are named.
    pub named_targets: usize,
}

/// Judges the answer to a generative item.
pub fn judge_description(
    words: &Associations,
    id: u64,
    truth: &[String],
    hallu: &[String],
    response: &str,
) -> Description {
    let (right, wrong) = (words.standing_for(truth), words.standing_for(hallu));
    let (mut covered, mut named) = (vec![false; truth.len()], vec![false; hallu.len()]);
    let nouns = words.nouns(response);
    let mut unmatched = Vec::new();
    for noun in nouns.iter().filter(|noun| !words.safe.contains(*noun)) {
        let stands_for = |list: &[(&str, usize)]| list.iter().find(|(w, _)| w == noun).map(|f| f.1);
        if let Some(at) = stands_for(&right) {
            covered[at] = true;
            continue;
        }
        if let Some(at) = stands_for(&wrong) {
            named[at] = true;
        }
        unmatched.push(noun.clone());
    }
    let count = |flags: &[bool]| flags.iter().filter(|f| **f).count();
    Description {
        id,
        response: response.to_owned(),
        truth: truth.len(),
        covered: count(&covered),
        targets: hallu.len(),
        named_targets: count(&named),
        nouns,
        unmatched,
    }
}

/// Numbers of the generative part, as shares; intervals over pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Generative {
    /// Nouns that stand for nothing in the picture / nouns.
    pub chair: Estimate,
    /// Objects of the pictures that are named.
    pub cover: Estimate,
    /// Descriptions with an unmatched noun.
    pub hal: Estimate,
    /// Likely hallucinations that are named.
    pub cog: Estimate,
}

/// The numbers of judged descriptions.
pub fn summarise_descriptions(descriptions: &[Description]) -> Generative {
    let row = |d: &Description| {
        [
            1.0,
            d.nouns.len() as f64,
            d.unmatched.len() as f64,
            d.truth as f64,
            d.covered as f64,
            d.targets as f64,
            d.named_targets as f64,
            f64::from(d.unmatched.is_empty()),
        ]
    };
    let rows: Vec<[f64; 8]> = descriptions.iter().map(row).collect();
    let [chair, cover, hal, cog] = intervals(&rows, [SHARE; 4], |s| {
        [
            s[2] / (START + s[1]),
            s[4] / (START + s[3]),
            1.0 - s[7] / (START + s[0]),
            s[6] / (START + s[5]),
        ]
    });
    Generative {
        chair,
        cover,
        hal,
        cog,
    }
}

/// How answers to yes/no questions are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// The original: "Yes" and "No", letter for letter; all else is wrong.
    Exact,
    /// The first word is "yes" or "no", in any case, whatever stands around it.
    Word,
}

impl Reading {
    /// What an answer says.
    pub fn parse(self, answer: &str) -> Option<bool> {
        let word: String = match self {
            Reading::Exact => answer.to_owned(),
            Reading::Word => {
                let letters = answer.trim_start_matches(|c: char| !c.is_alphabetic());
                let word: String = letters.chars().take_while(|c| c.is_alphabetic()).collect();
                let mut chars = word.chars();
                let first = chars.next().map(|c| c.to_ascii_uppercase());
                first
                    .into_iter()
                    .chain(chars.map(|c| c.to_ascii_lowercase()))
                    .collect()
            }
        };
        match word.as_str() {
            "Yes" => Some(true),
            "No" => Some(false),
            _ => None,
        }
    }
}

/// An answer to a yes/no question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The item.
    pub id: u64,
    /// Its type in `annotations.json`.
    pub kind: String,
    /// Whether "yes" is right.
    pub truth: bool,
    /// The raw answer.
    pub response: String,
    /// What it says.
    pub parsed: Option<bool>,
}

/// Numbers of yes/no questions, as shares, "no" being the positive class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Discriminative {
    /// Right answers.
    pub accuracy: Estimate,
    /// Of the answers "no", how many are right.
    pub precision: Estimate,
    /// Of what is not so, how much is denied.
    pub recall: Estimate,
    /// Of rounded precision and recall, as in the original.
    pub f1: Estimate,
    /// Answers that are neither yes nor no.
    pub unparsed: usize,
    /// Questions.
    pub questions: usize,
}

/// The groups of the original's table, in its order. Existence has no "yes" among its answers.
pub const GROUPS: [&str; 7] = [
    "all",
    "existence",
    "attribute",
    "state",
    "number",
    "action",
    "relation",
];

/// Whether a type of question belongs to a group of [`GROUPS`].
pub fn belongs(kind: &str, group: &str) -> bool {
    let attribute = kind.strip_prefix("discriminative-attribute-");
    match group {
        "all" => true,
        "existence" => kind == "discriminative-hallucination",
        "attribute" => attribute.is_some(),
        "relation" => kind != "discriminative-hallucination" && attribute.is_none(),
        one => attribute == Some(one),
    }
}

/// The numbers of every group that has questions.
pub fn summarise_choices(choices: &[Choice]) -> BTreeMap<&'static str, Discriminative> {
    let mut found = BTreeMap::new();
    for group in GROUPS {
        let mine: Vec<&Choice> = choices.iter().filter(|c| belongs(&c.kind, group)).collect();
        if !mine.is_empty() {
            found.insert(group, discriminative(&mine, group));
        }
    }
    found
}

fn discriminative(choices: &[&Choice], group: &str) -> Discriminative {
    let rows: Vec<_> = choices.iter().map(|choice| choice_row(choice)).collect();
    let [accuracy, precision, recall, f1] =
        intervals(&rows, [SHARE; 4], |sums| choice_shares(group, sums));
    Discriminative {
        accuracy,
        precision,
        recall,
        f1,
        unparsed: choices.iter().filter(|c| c.parsed.is_none()).count(),
        questions: choices.len(),
    }
}

/// What is summed over answers: of them, right ones, those that deny, rightly, those that should.
pub(super) fn choice_row(choice: &Choice) -> [f64; 5] {
    let flag = |condition: bool| f64::from(u8::from(condition));
    let says_no = choice.parsed == Some(false);
    [
        1.0,
        flag(choice.parsed == Some(choice.truth)),
        flag(says_no),
        flag(says_no && !choice.truth),
        flag(!choice.truth),
    ]
}

/// Accuracy, precision, recall and F1 of a group, from the sums of [`choice_row`].
pub(super) fn choice_shares(group: &str, s: &[f64; 5]) -> [f64; 4] {
    // The original adds ten times as much where it rates existence.
    let epsilon = if group == "existence" { 0.001 } else { 0.0001 };
    let precision = s[3] / (START + s[2]);
    let recall = s[3] / (START + s[4]);
    let (p, r) = (tenth(precision), tenth(recall));
    let f1 = 2.0 * p * r / (p + r + epsilon);
    [s[1] / (START + s[0]), precision, recall, f1]
}

/// A share rounded to a tenth of a percent, as `round(share * 100, 1) / 100` in Python.
fn tenth(share: f64) -> f64 {
    let text = format!("{:.1}", share * 100.0);
    text.parse::<f64>().map_or(share, |percent| percent / 100.0)
}

/// AMBER's one number, in points: `½ (100 − CHAIR + F1)`.
pub fn amber_score(generative: &Generative, all: &Discriminative) -> f64 {
    50.0 * (1.0 - generative.chair.mean + all.f1.mean)
}
