//! Sampling several answers to each row.

use percept_chat::{ChatError, ChatFinish, ChatModel, ChatReply, ChatRequest, Turn, ask_all};
use percept_data::Dataset;

use crate::{Candidate, CandidateStatus, Error, Row};

/// How answers are sampled.
#[derive(Debug, Clone)]
pub struct Sampling<'a> {
    /// Answers to each row.
    pub num_generations: usize,
    /// Temperature, nucleus, length, seed.
    pub turn: Turn,
    /// Instructions that the rows do not keep.
    pub system: Option<&'a str>,
    /// Whether answers that were cut at the length limit are judged too.
    pub keep_cut: bool,
}

/// The answers to every row that can be read, by row, then number; `tell` is that of [`ask_all`].
///
/// # Errors
/// Those of [`ask_all`].
pub fn sample(
    model: &dyn ChatModel,
    data: &dyn Dataset,
    rows: &[Row],
    sampling: &Sampling<'_>,
    tell: &mut (dyn FnMut(usize, Option<&ChatError>) + Send),
) -> Result<Vec<Candidate>, Error> {
    let n = sampling.num_generations;
    let asked: Vec<usize> = (0..rows.len())
        .filter(|&row| rows[row].unreadable.is_none())
        .collect();
    let request = |at: usize| {
        let sample = data.get(asked[at / n])?;
        Ok(request(&sample, sampling, at % n))
    };
    let answers = ask_all(model, asked.len() * n, request, tell)?;
    let answers = answers.into_iter().enumerate();
    Ok(answers
        .map(|(at, answer)| {
            let row = asked[at / n];
            let named = Candidate::new(row, &rows[row].id, at % n);
            answered(named, answer, sampling.keep_cut)
        })
        .collect())
}

fn request(
    sample: &percept_data::Sample,
    sampling: &Sampling<'_>,
    candidate: usize,
) -> ChatRequest {
    let turn = Turn {
        candidate,
        // Servers that sample by seed would repeat themselves.
        seed: (sampling.turn.seed).map(|seed| seed.wrapping_add(candidate as u64)),
        ..sampling.turn.clone()
    };
    let request = ChatRequest::of(sample, turn);
    match sampling.system {
        Some(system) => request.with_system(system),
        None => request,
    }
}

/// Notes the answer on its candidate.
fn answered(
    mut found: Candidate,
    answer: Result<ChatReply, ChatError>,
    keep_cut: bool,
) -> Candidate {
    let reply = match answer {
        Ok(reply) => reply,
        Err(error) => {
            found.reason = Some(error.to_string());
            return found;
        }
    };
    found.status = match reply.finish_reason {
        _ if reply.text.trim().is_empty() => CandidateStatus::Empty,
        ChatFinish::Stop => CandidateStatus::Unjudged,
        ChatFinish::Length if keep_cut => CandidateStatus::Unjudged,
        ChatFinish::Length => CandidateStatus::Cut,
        ChatFinish::ContentFilter | ChatFinish::Other(_) => CandidateStatus::KeptBack,
    };
    found.finished = reply.finish_reason == ChatFinish::Stop;
    found.prompt_tokens = reply.prompt_tokens;
    found.completion_tokens = reply.completion_tokens;
    found.text = reply.text;
    found
}
