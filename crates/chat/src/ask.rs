//! Asking many requests, as the model likes to be called.

use std::ops::ControlFlow;
use std::sync::Mutex;

use percept_base::{lock, run_jobs};

use crate::{ChatError, ChatModel, ChatReply, ChatRequest};

/// After this many consecutive rows without an answer the fault is not in the rows.
const MAX_FAILURES: usize = 10;

type Answer = Result<ChatReply, ChatError>;

struct Shared<'t> {
    answers: Vec<Option<Answer>>,
    done: usize,
    /// Rows without an answer since the last answer, and the last of them.
    failures: usize,
    failed: Option<String>,
    stop: Option<ChatError>,
    tell: &'t mut (dyn FnMut(usize, Option<&ChatError>) + Send),
}

/// Asks `count` requests, each made when it is due; the answers are in their order. `tell` hears how many are done after
/// each one, and why one has no answer.
///
/// # Errors
/// What every other request would meet as well ([`ChatError::is_final`]), and the tenth row in succession that has no answer.
pub fn ask_all(
    model: &dyn ChatModel,
    count: usize,
    request: impl Fn(usize) -> Result<ChatRequest, ChatError> + Sync,
    tell: &mut (dyn FnMut(usize, Option<&ChatError>) + Send),
) -> Result<Vec<Answer>, ChatError> {
    let calls = model.calls();
    let size = calls.requests.max(1);
    let shared = Mutex::new(Shared {
        answers: (0..count).map(|_| None).collect(),
        done: 0,
        failures: 0,
        failed: None,
        stop: None,
        tell,
    });
    run_jobs(count.div_ceil(size), calls.at_once, |job| {
        if lock(&shared).stop.is_some() {
            return ControlFlow::Break(());
        }
        let range = job * size..count.min((job + 1) * size);
        let (mut places, mut requests) = (Vec::with_capacity(size), Vec::with_capacity(size));
        for at in range {
            match request(at) {
                Ok(request) => {
                    places.push(at);
                    requests.push(request);
                }
                Err(error) => lock(&shared).settle(at, &at.to_string(), Err(error)),
            }
        }
        let mut answers = model.chat(&requests);
        answers.resize_with(requests.len(), || Err(ChatError::Silent));
        let mut shared = lock(&shared);
        for ((at, request), answer) in places.into_iter().zip(&requests).zip(answers) {
            shared.settle(at, &request.id, answer);
        }
        ControlFlow::Continue(())
    });
    let shared = shared.into_inner().unwrap_or_else(|e| e.into_inner());
    match shared.stop {
        Some(error) => Err(error),
        None => Ok(shared.answers.into_iter().flatten().collect()),
    }
}

impl Shared<'_> {
    fn settle(&mut self, at: usize, row: &str, answer: Answer) {
        self.done += 1;
        (self.tell)(self.done, answer.as_ref().err());
        match answer {
            Ok(_) => self.failures = 0,
            // Several questions about one row that cannot be used are one failure.
            Err(_) if self.failed.as_deref() == Some(row) => {}
            Err(_) => {
                self.failures += 1;
                self.failed = Some(row.to_owned());
            }
        }
        match answer {
            Err(error) if error.is_final() || self.failures >= MAX_FAILURES => {
                self.stop.get_or_insert(error);
            }
            answer => self.answers[at] = Some(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Recorded, Turn};
    use percept_data::{Message, Role, Sample};

    fn request(at: usize) -> Result<ChatRequest, ChatError> {
        let sample = Sample::new(at.to_string(), vec![Message::text(Role::User, "q")]);
        Ok(ChatRequest::of(&sample, Turn::default()))
    }

    #[test]
    fn answers_are_in_order_and_one_that_is_missing_is_told() {
        let model = Recorded::answering("echo", |r: &ChatRequest| r.id.clone());
        let refuse = |at: usize| match at {
            70 => Err(ChatError::Data(percept_data::Error::row("broken"))),
            _ => request(at),
        };
        let (mut most, mut missing) = (0, 0);
        let mut tell = |done: usize, error: Option<&ChatError>| {
            most = most.max(done);
            missing += usize::from(error.is_some());
        };
        let answers = ask_all(&model, 150, refuse, &mut tell).unwrap();
        assert_eq!((most, missing, answers.len()), (150, 1, 150));
        for (at, answer) in answers.iter().enumerate() {
            match answer {
                Ok(reply) => assert_eq!(reply.text, at.to_string()),
                Err(_) => assert_eq!(at, 70),
            }
        }
    }

    #[test]
    fn ten_failures_in_a_row_end_it() {
        let model = Recorded::answering("echo", |r: &ChatRequest| r.id.clone());
        let broken = |at: usize| match at < 5 {
            true => request(at),
            false => Err(ChatError::Data(percept_data::Error::row("broken"))),
        };
        let mut told = 0;
        let error = ask_all(&model, 500, broken, &mut |done, _| told = done).unwrap_err();
        assert!(error.to_string().contains("broken"));
        assert!(told < 100, "{told}");
    }
}
