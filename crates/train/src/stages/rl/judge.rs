//! Responses are judged here, all groups of a generation batch at once: a reward function may look at one response,
//! or compare those to several prompts ([`percept_reward::GroupVerifier`]).

use percept_data::Sample;
use percept_model::Prompt;
use percept_reward::{Answer, Reward, RewardSet};

/// A response to be judged.
pub(crate) struct Response<'a> {
    pub(crate) text: &'a str,
    pub(crate) tokens: &'a [u32],
    /// Whether it ended by itself.
    pub(crate) finished: bool,
}

/// The responses to one prompt.
pub(crate) struct ToJudge<'a> {
    pub(crate) sample: &'a Sample,
    pub(crate) prompt: &'a Prompt,
    pub(crate) responses: Vec<Response<'a>>,
}

/// A reward for each response of each group.
pub(crate) fn judge(rewards: &RewardSet, groups: &[ToJudge<'_>]) -> Vec<Vec<Reward>> {
    let conversations: Vec<_> = groups.iter().map(|g| g.sample.conversation()).collect();
    let answers = groups.iter().zip(&conversations);
    let answers = answers.map(|(group, conversation)| {
        let responses = group.responses.iter();
        let answers = responses.map(|response| Answer {
            completion: response.text,
            ground_truth: group.sample.answer.as_deref(),
            alternatives: &group.sample.alternatives,
            prompt: &group.prompt.text,
            finished: response.finished,
            n_tokens: response.tokens.len(),
            meta: &group.sample.meta,
            token_ids: response.tokens,
            messages: conversation.as_ref(),
        });
        answers.collect()
    });
    let answers: Vec<Vec<Answer<'_>>> = answers.collect();
    let groups: Vec<&[Answer<'_>]> = answers.iter().map(Vec::as_slice).collect();
    rewards.judge_groups(&groups)
}
