//! MMHal-Bench: 96 questions whose answers a judge rates from 0 to 6.
//!
//! `score = mean rating`, `hallucination rate = share of ratings below 3`; a reply with no rating or
//! with several counts as 0. Source: Sun et al. (arXiv 2309.14525); RLHF-V/RLAIF-V
//! `eval/eval_gpt_mmhal.py` and `summarize_gpt_mmhal_review.py`. Numbers depend on the judge and on
//! its prompt: published ones used GPT-4 and the authors' template, which [`Template::parse`] reads
//! from a copy of their script; without one, [`Template::default`] sets the same task in other words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use percept_eval::Estimate;
use percept_eval::stats::intervals;
use percept_eval::stats::{Range, SHARE, estimate_in};

/// Types of questions, in the order in which the benchmark's 96 questions go round.
pub const TYPES: [&str; 8] = [
    "attribute",
    "adversarial",
    "comparison",
    "counting",
    "relation",
    "environment",
    "holistic",
    "other",
];

/// An entry of the response template (`response_template.json`, `mmhal-bench_answer_template.json`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// One of [`TYPES`].
    #[serde(default)]
    pub question_type: String,
    /// What the picture shows.
    #[serde(default)]
    pub question_topic: String,
    /// Number of the picture in OpenImages.
    #[serde(default)]
    pub image_id: String,
    /// Where the picture comes from.
    #[serde(default)]
    pub image_src: String,
    /// What is in the picture.
    pub image_content: Vec<String>,
    /// The question.
    pub question: String,
    /// A person's answer.
    pub gt_answer: String,
    /// The model's answer, where it was already given.
    #[serde(default)]
    pub model_answer: String,
}

/// A judge's prompt with four gaps `{}`: contents of the picture, question, right answer, answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: [String; 5],
}

impl Default for Template {
    fn default() -> Self {
        let parts = TASK.split("{}").map(str::to_owned).collect::<Vec<_>>();
        let parts = parts.try_into();
        Self {
            // TASK has four gaps; a test reads it.
            parts: parts.unwrap_or_default(),
        }
    }
}

const TASK: &str = "\
You judge an answer that a vision-language model gave to a question about a picture. You do not see the picture; \
you are told what is in it and how a person answered. An answer hallucinates if it claims something about the \
picture (an object, its number, colour, place, an action, a feeling, a text) that is neither in the picture nor \
follows from it. Saying less than the person, expressing doubt or adding general knowledge is no hallucination. \
The person's answer may leave things out, so do not call a claim wrong only because the person did not make it.

Contents of the picture: {}
Question: {}
Answer of the person: {}
Answer to judge: {}

First explain your judgement in a few sentences. Then end with one line \"Rating: N\", where N is
6 if the answer does not hallucinate and is very informative, with good analysis or reasoning,
5 if it does not hallucinate and is very informative,
4 if it does not hallucinate and is somewhat informative,
3 if it does not hallucinate and is not informative,
2 if it hallucinates and is very informative,
1 if it hallucinates and is somewhat informative,
0 if it hallucinates and is not informative.
";

impl Template {
    /// A template of one's own: a text with four gaps `{}`, or a Python file with `template =
    /// '''…'''`.
    ///
    /// # Errors
    /// How many gaps the text has instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let quoted = text
            .split_once("template = '''")
            .and_then(|(_, rest)| rest.split_once("'''"));
        let text = quoted.map_or(text, |(inside, _)| inside);
        let parts: Vec<String> = text.split("{}").map(str::to_owned).collect();
        let gaps = parts.len() - 1;
        let parts = parts.try_into().map_err(|_| {
            format!("{gaps} gaps {{}}, expected 4: contents of the picture, question, right answer, answer")
        })?;
        Ok(Self { parts })
    }

    /// The prompt about one answer.
    pub fn fill(&self, item: &Item, answer: &str) -> String {
        let contents = item.image_content.join(", ");
        let gaps = [
            contents.as_str(),
            &item.question,
            &item.gt_answer,
            answer,
            "",
        ];
        self.parts
            .iter()
            .zip(gaps)
            .flat_map(|(part, gap)| [part.as_str(), gap])
            .collect()
    }

    /// The text with its gaps.
    pub fn text(&self) -> String {
        self.parts.join("{}")
    }
}

/// The rating in a judge's reply; nothing if there is none or more than one.
///
/// ```
/// use percept_benchmarks::hallucination::mmhal::rating;
///
/// assert_eq!(rating("It names a dog that is there. Rating: 4"), Some(4));
/// assert_eq!(rating("Rating: 4 or rating: 5"), None);
/// ```
pub fn rating(reply: &str) -> Option<u8> {
    let reply = reply.to_lowercase();
    let mut found = (0..7).filter(|n| reply.contains(&format!("rating: {n}")));
    found.next().filter(|_| found.next().is_none())
}

/// A rated answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rated {
    /// Position in the benchmark.
    pub index: usize,
    /// The question.
    pub item: Item,
    /// The model's answer.
    pub answer: String,
    /// The judge's reply.
    pub review: String,
    /// The rating read from it.
    pub rating: Option<u8>,
}

impl Rated {
    /// What counts: 0 where the reply has no single rating.
    pub fn points(&self) -> f64 {
        f64::from(self.rating.unwrap_or(0))
    }

    /// The type of the question: its own, or by its position as the original does.
    pub fn kind(&self) -> &str {
        match self.item.question_type.as_str() {
            "" => TYPES[self.index % TYPES.len()],
            kind => kind,
        }
    }
}

/// The ratings in numbers; intervals over questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MmHal {
    /// Mean rating, 0 to 6.
    pub score: Estimate,
    /// Share of ratings below 3.
    pub hallucination_rate: Estimate,
    /// Mean of (rating − 3 from 3 on, else the rating) / 3.
    pub informativeness: Estimate,
    /// Mean rating by type of question.
    pub by_type: BTreeMap<String, Estimate>,
    /// Replies without a single rating, counted as 0.
    pub unclear: usize,
}

/// Ratings.
const POINTS: Range = (0.0, 6.0);

/// The numbers of rated answers.
pub fn summarise(rated: &[Rated]) -> MmHal {
    let informative = |points: f64| (points - if points >= 3.0 { 3.0 } else { 0.0 }) / 3.0;
    let rows: Vec<[f64; 4]> = rated
        .iter()
        .map(|r| {
            let points = r.points();
            [
                1.0,
                points,
                f64::from(u8::from(points < 3.0)),
                informative(points),
            ]
        })
        .collect();
    let [score, hallucination_rate, informativeness] =
        intervals(&rows, [POINTS, SHARE, SHARE], |s| {
            [s[1] / s[0], s[2] / s[0], s[3] / s[0]]
        });
    let mut by_type: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for r in rated {
        by_type
            .entry(r.kind().to_owned())
            .or_default()
            .push(r.points());
    }
    MmHal {
        score,
        hallucination_rate,
        informativeness,
        by_type: by_type
            .into_iter()
            .map(|(kind, points)| (kind, estimate_in(&points, POINTS)))
            .collect(),
        unclear: rated.iter().filter(|r| r.rating.is_none()).count(),
    }
}
