//! A verifier judges whole answers.

use percept_data::{Dataset, Message, Role, Sample};
use percept_reward::{Answer, Reward, RewardSet, Verdict};
use serde_json::{Value, json};

use crate::candidate::by_row;
use crate::{Candidate, CandidateStatus, Claim, ClaimVerdict, Error, Judge, Judgement, Score};

/// Reward functions as a judge: the score is the total reward.
pub struct VerifierJudge<'a> {
    rewards: &'a RewardSet,
}

impl<'a> VerifierJudge<'a> {
    /// These functions.
    pub fn new(rewards: &'a RewardSet) -> Self {
        Self { rewards }
    }

    /// All answers to a row at once: a function may compare them.
    fn row(&self, answers: &[&Candidate], sample: &Sample) -> Vec<Judgement> {
        let asked = sample.messages.iter().filter(|m| m.role == Role::User);
        let prompt: Vec<String> = asked.map(Message::plain_text).collect();
        let (prompt, conversation) = (prompt.join("\n"), sample.conversation());
        let views: Vec<Answer<'_>> = answers
            .iter()
            .map(|answer| Answer {
                completion: &answer.text,
                ground_truth: sample.answer.as_deref(),
                alternatives: &sample.alternatives,
                prompt: &prompt,
                finished: answer.finished,
                n_tokens: answer.completion_tokens as usize,
                meta: &sample.meta,
                messages: conversation.as_ref(),
                ..Answer::default()
            })
            .collect();
        let rewards = self.rewards.judge_groups(&[&views]).into_iter().flatten();
        let mut found: Vec<Judgement> = rewards.map(judgement).collect();
        found.resize_with(answers.len(), || {
            Judgement::none(CandidateStatus::Unanswered, "the verifier gave no verdict")
        });
        found
    }
}

fn judgement(reward: Reward) -> Judgement {
    let open = || {
        let reasons = reward.parts.iter();
        let reasons =
            reasons.filter_map(|(name, verdict)| Some(format!("{name}: {}", verdict.reason()?)));
        (
            CandidateStatus::Unanswered,
            reasons.collect::<Vec<_>>().join("; "),
        )
    };
    let score = |value| Score {
        value,
        coverage: None,
    };
    Judgement {
        claims: reward.parts.iter().map(part).collect(),
        score: reward.total.map(score).ok_or_else(open),
    }
}

/// What a function says, as a claim about the whole answer: accepted at the full score.
fn part((name, verdict): &(String, Verdict)) -> Claim {
    let said = match verdict.score() {
        Some(score) if score >= 1.0 => ClaimVerdict::Accepted,
        Some(_) => ClaimVerdict::Rejected,
        None => ClaimVerdict::Unanswered,
    };
    let score = verdict.score().map(|score| score.to_string());
    Claim {
        reply: score.or_else(|| verdict.reason().map(str::to_owned)),
        ..Claim::new(name.as_str(), said)
    }
}

impl Judge for VerifierJudge<'_> {
    fn identity(&self) -> Value {
        json!({"judge": "verifier", "reward": self.rewards.names()})
    }

    fn judge(&self, answers: &[&Candidate], data: &dyn Dataset) -> Result<Vec<Judgement>, Error> {
        let mut found = Vec::with_capacity(answers.len());
        for group in by_row(answers) {
            found.extend(self.row(group, &data.get(group[0].row)?));
        }
        Ok(found)
    }
}
