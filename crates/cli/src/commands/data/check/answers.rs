//! What a recipe's reward functions say about a row's own answer and its expert.

use std::sync::{Mutex, PoisonError};

use percept_data::{Message, Role, Sample};
use percept_reward::{Answer, Extracted, RewardSet, Verdict};

/// Words from which on a ground truth is a sentence that no response will repeat.
const SENTENCE: usize = 12;

/// Grades rows before training does.
pub struct RowAnswers<'a> {
    rewards: &'a RewardSet,
    experts: Mutex<Experts>,
}

/// Verdicts on experts.
#[derive(Default)]
struct Experts {
    right: usize,
    wrong: Vec<String>,
    ungraded: Vec<String>,
}

impl<'a> RowAnswers<'a> {
    pub fn new(rewards: &'a RewardSet) -> Self {
        Self {
            rewards,
            experts: Mutex::default(),
        }
    }

    /// Grades the row's expert, and checks that its right answers can be read and can be met.
    ///
    /// # Errors
    /// Why no response would be rewarded for this row.
    pub fn check(&self, sample: &Sample) -> Result<(), String> {
        self.expert(sample);
        let Some(answer) = sample.answer.as_deref() else {
            return Ok(());
        };
        let all = || std::iter::once(answer).chain(sample.alternatives.iter().map(String::as_str));
        for truth in all() {
            self.rewards.check_ground_truth(truth)?;
        }
        let verdicts: Vec<Option<Verdict>> =
            all().map(|truth| self.verdict_on(sample, truth)).collect();
        if verdicts.iter().all(Option::is_none) {
            return Ok(()); // judged as a whole, or by a program
        }
        let met = |verdict: &Option<Verdict>| {
            let score = verdict.as_ref().and_then(Verdict::score);
            score.is_some_and(|score| score > 0.0)
        };
        if !verdicts.iter().any(met) {
            let why = verdicts.iter().flatten().find_map(Verdict::reason);
            return Err(format!(
                "the right answer itself would not be rewarded: {}\n  help: correct the answer, or choose another reward function for it",
                why.unwrap_or("scored 0")
            ));
        }
        let words = |text: &str| {
            text.split_whitespace()
                .filter(|w| w.chars().filter(|c| c.is_alphabetic()).count() > 1)
                .count()
        };
        match all().map(words).min() {
            Some(count) if count > SENTENCE && !answer.contains('\\') => Err(format!(
                "the right answer is a sentence of {count} words: only the same words would be rewarded\n  help: keep the short answer here and the sentence in `expert`, or use a reward function that reads sentences"
            )),
            _ => Ok(()),
        }
    }

    /// The first function's verdict on the answer in a box or a tag; none where it takes no answer out of a
    /// response.
    fn verdict_on(&self, sample: &Sample, truth: &str) -> Option<Verdict> {
        let mut last = None;
        for completion in [
            format!("\\boxed{{{truth}}}"),
            format!("<answer>{truth}</answer>"),
        ] {
            let answer = view(sample, &completion, "");
            if let Some(Extracted::Whole) | None = self.rewards.extracted(&answer).first() {
                return None;
            }
            let judged = self.rewards.judge(&[answer]).pop()?;
            let (_, verdict) = judged.parts.into_iter().next()?;
            let right = verdict.score().is_some_and(|score| score > 0.0);
            last = Some(verdict);
            if right {
                break;
            }
        }
        last
    }

    fn expert(&self, sample: &Sample) {
        let Some(expert) = sample.expert.as_deref() else {
            return;
        };
        let asked = sample.messages.iter().filter(|m| m.role == Role::User);
        let prompt = asked
            .map(Message::plain_text)
            .collect::<Vec<_>>()
            .join("\n");
        let answer = view(sample, expert, &prompt);
        let judged = self.rewards.judge(&[answer]).pop();
        let Some((_, verdict)) = judged.and_then(|reward| reward.parts.into_iter().next()) else {
            return;
        };
        let mut experts = self.experts.lock().unwrap_or_else(PoisonError::into_inner);
        match verdict {
            Verdict::Score(score) if score > 0.0 => experts.right += 1,
            Verdict::Score(_) => {
                let found = self.rewards.extracted(&answer).into_iter().next();
                let why = match found {
                    Some(Extracted::Text(found)) => format!(
                        "`{}` is not `{}`",
                        found.chars().take(80).collect::<String>(),
                        sample.answer.as_deref().unwrap_or_default()
                    ),
                    Some(Extracted::Nothing(why)) => why,
                    _ => "scored 0".to_owned(),
                };
                experts.wrong.push(format!("{}: {why}", sample.id));
            }
            Verdict::Ungraded(why) => experts.ungraded.push(format!("{}: {why}", sample.id)),
        }
    }

    /// Verdicts on all experts so far, for people; at most `most` are named (0: all).
    pub fn text(&self, most: usize) -> Option<String> {
        let experts = self.experts.lock().unwrap_or_else(PoisonError::into_inner);
        let (wrong, ungraded) = (experts.wrong.len(), experts.ungraded.len());
        if experts.right + wrong + ungraded == 0 {
            return None;
        }
        let mut text = format!(
            "experts: {} right, {wrong} wrong, {ungraded} ungraded",
            experts.right
        );
        for (word, all) in [("wrong", &experts.wrong), ("ungraded", &experts.ungraded)] {
            let shown = if most == 0 { all.len() } else { most };
            for line in all.iter().take(shown) {
                text.push_str(&format!("\nexpert {word}: {line}"));
            }
            if all.len() > shown {
                text.push_str(&format!(
                    "\nexpert {word}: {} more (--most 0 lists all)",
                    all.len() - shown
                ));
            }
        }
        Some(text)
    }

    /// The same as an object.
    pub fn json(&self) -> serde_json::Value {
        let experts = self.experts.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::json!({"experts": {
            "right": experts.right,
            "wrong": experts.wrong,
            "ungraded": experts.ungraded,
        }})
    }
}

fn view<'a>(sample: &'a Sample, completion: &'a str, prompt: &'a str) -> Answer<'a> {
    Answer {
        completion,
        ground_truth: sample.answer.as_deref(),
        alternatives: &sample.alternatives,
        prompt,
        meta: &sample.meta,
        ..Answer::default()
    }
}
