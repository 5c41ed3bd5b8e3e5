//! A file of answers before a model: what is in it is not asked again, and what is asked is in it
//! before anybody sees it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Condvar, Mutex};

use percept_base::{AppendLog, LogError, lock, map_jobs};
use serde_json::{Value, json};

use crate::record::entries;
use crate::{Calls, ChatError, ChatModel, ChatReply, ChatRequest, Usage};

/// A model with its file of answers. A killed process that is started again gets from the file
/// what it was told before, and asks the rest.
pub struct Cached<M> {
    model: M,
    identity: Value,
    log: AppendLog,
    known: Mutex<HashMap<String, Known>>,
    settled: Condvar,
    hits: Mutex<u64>,
}

enum Known {
    /// Another thread is asking.
    Pending,
    Answered(ChatReply),
}

enum Claim {
    Answered(ChatReply),
    /// Another thread is asking.
    Pending,
    /// This one is to ask.
    Ours,
}

impl<M: ChatModel> Cached<M> {
    /// Opens or creates the file: one JSON object a line, with `key`, `id`, `candidate` and
    /// `reply`.
    ///
    /// # Errors
    /// Those of [`AppendLog::open`]; [`LogError::Line`] for a line of another kind.
    pub fn open(model: M, path: &Path) -> Result<Self, LogError> {
        let (log, lines) = AppendLog::open(path)?;
        let mut known = HashMap::with_capacity(lines.len());
        for entry in entries(path, lines) {
            let (key, reply) = entry?;
            known.insert(key, Known::Answered(reply));
        }
        Ok(Self {
            identity: model.identity(),
            model,
            log,
            known: Mutex::new(known),
            settled: Condvar::new(),
            hits: Mutex::new(0),
        })
    }

    /// Answers in the file.
    pub fn len(&self) -> usize {
        lock(&self.known).len()
    }

    /// Whether the file holds no answer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.log.path()
    }

    /// The model behind the file.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// What is known of a request. `Claim::Ours` gives the caller the duty to settle it, and nobody
    /// may wait for others before that: two callers could wait for each other.
    fn claim(&self, key: &str) -> Claim {
        let mut known = lock(&self.known);
        match known.get(key) {
            Some(Known::Answered(reply)) => {
                let mut reply = reply.clone();
                reply.cached = true;
                *lock(&self.hits) += 1;
                Claim::Answered(reply)
            }
            Some(Known::Pending) => Claim::Pending,
            None => {
                known.insert(key.to_owned(), Known::Pending);
                Claim::Ours
            }
        }
    }

    /// The answer that somebody else is asking for, or ours where that failed.
    fn after(&self, key: &str, request: &ChatRequest) -> Option<Result<ChatReply, ChatError>> {
        let mut known = lock(&self.known);
        while matches!(known.get(key), Some(Known::Pending)) {
            known = self.settled.wait(known).unwrap_or_else(|e| e.into_inner());
        }
        drop(known);
        match self.claim(key) {
            Claim::Answered(reply) => Some(Ok(reply)),
            Claim::Pending => self.after(key, request),
            Claim::Ours => {
                let (keys, requests) = ([key.to_owned()], std::slice::from_ref(request));
                self.ask_all(&keys, requests).pop().flatten()
            }
        }
    }

    /// Asks in the calls that the model likes; what each of them brings is in the file before the
    /// others are done.
    fn ask_all(
        &self,
        keys: &[String],
        asked: &[ChatRequest],
    ) -> Vec<Option<Result<ChatReply, ChatError>>> {
        let calls = self.model.calls();
        let size = calls.requests.max(1);
        let pieces: Vec<_> = keys.chunks(size).zip(asked.chunks(size)).collect();
        let answers = map_jobs(pieces.len(), calls.at_once, |at| {
            let (keys, requests) = pieces[at];
            let mut new = self.model.chat(requests);
            new.resize_with(requests.len(), || Err(ChatError::Silent));
            self.settle(keys, requests, &mut new);
            new
        });
        answers.into_iter().flatten().map(Some).collect()
    }

    fn settle(
        &self,
        keys: &[String],
        requests: &[ChatRequest],
        answers: &mut [Result<ChatReply, ChatError>],
    ) {
        let lines: Vec<Value> = keys
            .iter()
            .zip(requests)
            .zip(answers.iter())
            .filter_map(|((key, request), answer)| {
                let reply = answer.as_ref().ok()?;
                let turn = &request.turn;
                Some(json!({"key": key, "id": request.id, "candidate": turn.candidate, "reply": reply}))
            })
            .collect();
        let written = if lines.is_empty() {
            Ok(())
        } else {
            self.log.append(&lines)
        };
        let mut known = lock(&self.known);
        for (key, answer) in keys.iter().zip(answers.iter()) {
            match answer {
                Ok(reply) if written.is_ok() => {
                    known.insert(key.clone(), Known::Answered(reply.clone()));
                }
                _ => {
                    known.remove(key);
                }
            }
        }
        drop(known);
        self.settled.notify_all();
        if let Err(error) = written
            && let Some(answer) = answers.iter_mut().find(|answer| answer.is_ok())
        {
            *answer = Err(error.into());
        }
    }
}

impl<M: ChatModel> ChatModel for Cached<M> {
    fn identity(&self) -> Value {
        self.identity.clone()
    }

    fn chat(&self, requests: &[ChatRequest]) -> Vec<Result<ChatReply, ChatError>> {
        let mut answers: Vec<Option<Result<ChatReply, ChatError>>> = Vec::new();
        let (mut keys, mut asked, mut places) = (Vec::new(), Vec::new(), Vec::new());
        // Requests that another call, or an earlier one of this call, is asking.
        let mut later = Vec::new();
        for (place, request) in requests.iter().enumerate() {
            let key = match request.key(&self.identity) {
                Ok(key) => key,
                Err(error) => {
                    answers.push(Some(Err(error)));
                    continue;
                }
            };
            answers.push(match self.claim(&key) {
                Claim::Answered(reply) => Some(Ok(reply)),
                Claim::Pending => {
                    later.push((place, key));
                    None
                }
                Claim::Ours => {
                    keys.push(key);
                    asked.push(request.clone());
                    places.push(place);
                    None
                }
            });
        }
        for (place, answer) in places.into_iter().zip(self.ask_all(&keys, &asked)) {
            answers[place] = answer;
        }
        for (place, key) in later {
            answers[place] = self.after(&key, &requests[place]);
        }
        let answers = answers.into_iter();
        answers
            .map(|answer| answer.unwrap_or(Err(ChatError::Silent)))
            .collect()
    }

    fn calls(&self) -> Calls {
        self.model.calls()
    }

    fn usage(&self) -> Usage {
        Usage {
            cached: *lock(&self.hits),
            ..self.model.usage()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{Recorded, Turn};
    use percept_data::{Message, Role, Sample};

    fn request(text: &str, candidate: usize) -> ChatRequest {
        let sample = Sample::new(text, vec![Message::text(Role::User, text)]);
        let turn = Turn {
            candidate,
            ..Turn::default()
        };
        ChatRequest::of(&sample, turn)
    }

    #[test]
    fn nothing_is_asked_twice_by_one_process_or_two() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        let asked = AtomicUsize::new(0);
        let model = || {
            Recorded::answering("echo", |r: &ChatRequest| {
                asked.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(std::time::Duration::from_millis(2));
                format!("{}/{}", r.id, r.turn.candidate)
            })
        };
        let requests: Vec<ChatRequest> = (0..20)
            .map(|i| request(&format!("q{}", i % 5), i % 2))
            .collect();
        for round in 0..2 {
            let cached = Cached::open(model(), &path).unwrap();
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (cached, mut requests) = (&cached, requests.clone());
                    // Each waits for what the others are asking.
                    requests.rotate_left(5 * thread);
                    scope.spawn(move || {
                        for (request, answer) in requests.iter().zip(cached.chat(&requests)) {
                            let expected = format!("{}/{}", request.id, request.turn.candidate);
                            assert_eq!(answer.unwrap().text, expected);
                        }
                    });
                }
            });
            assert_eq!(cached.len(), 10);
            assert_eq!(asked.load(Ordering::SeqCst), 10, "round {round}");
        }
    }

    #[test]
    fn a_failure_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        let silent = Recorded::open(&path.with_file_name("none.jsonl"), Value::Null).unwrap();
        let cached = Cached::open(silent, &path).unwrap();
        assert!(cached.ask(&request("q", 0)).is_err());
        assert!(cached.is_empty());
    }
}
