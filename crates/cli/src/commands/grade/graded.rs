//! Judged completions and what is written of each.

use percept_reward::{Extracted, Reward, RewardSet, Verdict};
use serde_json::{Value, json};

use super::row::Completion;

/// One judged completion.
pub struct Graded<'a> {
    pub given: &'a Completion,
    pub verdict: &'static str,
    pub reward: Reward,
    pub extracted: Vec<Extracted>,
}

/// Judges completions; a score of at least `threshold` is right.
pub fn judged<'a>(rewards: &RewardSet, given: &'a [Completion], threshold: f64) -> Vec<Graded<'a>> {
    let answers: Vec<_> = given.iter().map(Completion::answer).collect();
    let judged = rewards.judge(&answers);
    given
        .iter()
        .zip(&answers)
        .zip(judged)
        .map(|((given, answer), reward)| Graded {
            given,
            verdict: word(reward.parts.first().map(|(_, verdict)| verdict), threshold),
            extracted: rewards.extracted(answer),
            reward,
        })
        .collect()
}

fn word(verdict: Option<&Verdict>, threshold: f64) -> &'static str {
    match verdict.and_then(Verdict::score) {
        None => "ungraded",
        Some(score) if score >= threshold => "right",
        Some(_) => "wrong",
    }
}

impl Graded<'_> {
    /// Why the verdict is not `right`.
    pub fn reason(&self) -> Option<String> {
        let (_, verdict) = self.reward.parts.first()?;
        reason(self.given, verdict, self.extracted.first(), self.verdict)
    }

    /// The row of the output.
    pub fn record(&self) -> Value {
        let given = self.given;
        let first = self.reward.parts.first().map(|(_, verdict)| verdict);
        let mut record = json!({
            "row": given.number,
            "id": given.id,
            "verdict": self.verdict,
            "score": first.and_then(Verdict::score),
            "reason": self.reason(),
            "extracted": self.extracted.first().and_then(text),
            "answer": given.answers_json(),
        });
        if let Some(sample) = given.sample {
            record["sample"] = sample.into();
        }
        if let Some(right) = given.right {
            record["right"] = right.into();
        }
        if let Some(kind) = &given.kind {
            record["kind"] = kind.as_str().into();
        }
        if self.reward.parts.len() > 1 {
            record["total"] = self.reward.total.into();
            let parts = self.reward.parts.iter().zip(&self.extracted);
            let parts = parts.map(|((label, verdict), extracted)| {
                let part = json!({
                    "score": verdict.score(),
                    "reason": verdict.reason(),
                    "extracted": text(extracted),
                });
                (label.clone(), part)
            });
            record["parts"] = Value::Object(parts.collect());
        }
        record
    }
}

/// What was read as the answer.
pub fn text(extracted: &Extracted) -> Option<&str> {
    match extracted {
        Extracted::Text(text) => Some(text),
        Extracted::Whole | Extracted::Nothing(_) => None,
    }
}

fn reason(
    given: &Completion,
    verdict: &Verdict,
    extracted: Option<&Extracted>,
    word: &str,
) -> Option<String> {
    let score = match verdict {
        Verdict::Ungraded(reason) => return Some(reason.clone()),
        Verdict::Score(_) if word == "right" => return None,
        Verdict::Score(score) => *score,
    };
    let shown = |text: &str| text.chars().take(80).collect::<String>();
    Some(match (extracted, given.answers.first()) {
        (Some(Extracted::Nothing(why)), _) => why.clone(),
        (Some(Extracted::Text(found)), Some(truth)) if score == 0.0 => {
            format!("`{}` is not `{}`", shown(found), shown(truth))
        }
        _ => format!("scored {score}"),
    })
}
