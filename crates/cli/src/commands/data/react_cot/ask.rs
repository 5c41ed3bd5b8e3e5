//! Asking in rounds: every frame that has no right trace yet gets one more.

use std::collections::BTreeMap;

use percept_annotate::reasoning::Dropped;
use percept_chat::{ChatError, ChatFinish, ChatModel, ChatRequest, Turn, ask_all};
use percept_data::{Message, Part, Role, Sample};

use super::rows::Frame;
use crate::shared::Failure;
use crate::shared::progress::AskProgress;

/// Who is asked, and how.
pub struct Job<'a> {
    pub model: &'a dyn ChatModel,
    pub turn: Turn,
    /// At most this many traces a frame.
    pub candidates: usize,
    pub min_iou: f64,
    /// Of the scores.
    pub seed: u64,
    pub quiet: bool,
}

/// What came of it.
pub struct Asked {
    /// For each frame, what training learns; none where no trace was right.
    pub responses: Vec<Option<String>>,
    /// Traces that were looked at.
    pub traces: usize,
    /// Traces that were dropped, by reason.
    pub dropped: BTreeMap<&'static str, usize>,
    /// Frames without an answer in some round: nobody knows whether it would have been right.
    pub failed: usize,
    /// The first reasons of each kind.
    pub reasons: Vec<String>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

/// Asks for all frames.
pub fn all(job: &Job<'_>, frames: &[Frame]) -> Result<Asked, Failure> {
    let mut asked = Asked {
        responses: vec![None; frames.len()],
        traces: 0,
        dropped: BTreeMap::new(),
        failed: 0,
        reasons: Vec::new(),
        prompt_tokens: 0,
        completion_tokens: 0,
    };
    let mut open: Vec<usize> = (0..frames.len()).collect();
    for candidate in 0..job.candidates {
        if open.is_empty() {
            break;
        }
        let mut progress = AskProgress::new("traces", open.len(), job.quiet);
        let mut tell = |done, error: Option<&ChatError>| progress.tell(done, error);
        let request = |at: usize| Ok(request(job, &frames[open[at]], candidate));
        let replies = ask_all(job.model, open.len(), request, &mut tell)?;
        let mut wrong = Vec::new();
        for (&at, reply) in open.iter().zip(replies) {
            let frame = &frames[at];
            let reply = match reply {
                Ok(reply) => reply,
                Err(error) => {
                    asked.failed += 1;
                    asked.reasons.push(format!("{}: {error}", frame.place));
                    continue;
                }
            };
            asked.traces += 1;
            asked.prompt_tokens += reply.prompt_tokens;
            asked.completion_tokens += reply.completion_tokens;
            let response = match reply.finish_reason {
                ChatFinish::Stop => frame.task.response(&reply.text, job.min_iou, job.seed),
                _ => Err(Dropped::Unfinished),
            };
            match response {
                Ok(response) => asked.responses[at] = Some(response),
                Err(why) => {
                    let count = asked.dropped.entry(why.kind()).or_default();
                    *count += 1;
                    if *count == 1 {
                        asked.reasons.push(format!("{}: {why}", frame.place));
                    }
                    wrong.push(at);
                }
            }
        }
        open = wrong;
    }
    Ok(asked)
}

fn request(job: &Job<'_>, frame: &Frame, candidate: usize) -> ChatRequest {
    let mut question = Message::text(Role::User, frame.task.text());
    question.content.insert(0, Part::Image(0));
    let mut sample = Sample::new(frame.place.clone(), vec![question]);
    sample.images.push(frame.image.clone());
    let turn = Turn {
        candidate,
        // Servers that sample by seed would repeat themselves.
        seed: job
            .turn
            .seed
            .map(|seed| seed.wrapping_add(candidate as u64)),
        ..job.turn.clone()
    };
    ChatRequest::of(&sample, turn)
}
