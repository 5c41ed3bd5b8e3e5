//! What a process is asked about one answer.

use serde_json::{Value, json};

use crate::Answer;

/// An answer, and where it stands among those that are judged together with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    answer: &'a Answer<'a>,
    place: Option<Place>,
}

/// Where an answer stands in a bundle.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Which of the rows that share a value.
    group: usize,
    /// Which of the responses to that row.
    rollout: usize,
}

impl<'a> Request<'a> {
    /// An answer that is judged by itself.
    pub(super) fn alone(answer: &'a Answer<'a>) -> Self {
        Self {
            answer,
            place: None,
        }
    }

    /// An answer that is judged with others: the `rollout`th to the `group`th row of its bundle.
    pub(super) fn placed(answer: &'a Answer<'a>, group: usize, rollout: usize) -> Self {
        Self {
            answer,
            place: Some(Place { group, rollout }),
        }
    }

    /// As a line; `more` says that further requests of the same batch or bundle follow.
    pub(super) fn line(&self, id: u64, more: bool) -> String {
        let answer = self.answer;
        let ground_truth: Value = match answer.ground_truth {
            Some(truth) if !answer.alternatives.is_empty() => std::iter::once(truth)
                .chain(answer.alternatives.iter().map(String::as_str))
                .collect(),
            other => other.into(),
        };
        let mut request = json!({
            "id": id,
            "prompt": answer.prompt,
            "completion": answer.completion,
            "ground_truth": ground_truth,
            "finished": answer.finished,
            "n_tokens": answer.n_tokens,
            "token_ids": answer.token_ids,
            "messages": answer.messages,
            "meta": answer.meta,
            "more": more,
        });
        if let Some(place) = self.place {
            request["group_index"] = place.group.into();
            request["rollout_index"] = place.rollout.into();
        }
        format!("{request}\n")
    }
}
