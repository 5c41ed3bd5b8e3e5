//! Answers from a file or a function, for tests and demonstrations.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use percept_base::{AppendLog, LogError, lock};
use serde_json::{Value, json};

use crate::record::entries;
use crate::{Calls, ChatError, ChatFinish, ChatModel, ChatReply, ChatRequest, Prices, Usage};

type Answering<'a> = dyn Fn(&ChatRequest) -> String + Send + Sync + 'a;

/// A player of recorded answers.
pub struct Recorded<'a> {
    identity: Value,
    source: Source<'a>,
    usage: Mutex<Usage>,
}

enum Source<'a> {
    File(PathBuf, HashMap<String, ChatReply>),
    Function(Box<Answering<'a>>),
}

impl<'a> Recorded<'a> {
    /// Plays the file that a [`Cached`](super::Cached) model with this identity wrote. A missing
    /// file holds nothing.
    ///
    /// # Errors
    /// Those of [`AppendLog::open`] and of lines that are no answers.
    pub fn open(path: &Path, identity: Value) -> Result<Self, LogError> {
        let answers = match path.exists() {
            false => HashMap::new(),
            true => entries(path, AppendLog::open(path)?.1).collect::<Result<_, _>>()?,
        };
        Ok(Self {
            identity,
            source: Source::File(path.into(), answers),
            usage: Mutex::default(),
        })
    }

    /// Answers by a function, as the model `name`. A token is a word.
    pub fn answering(
        name: &str,
        answer: impl Fn(&ChatRequest) -> String + Send + Sync + 'a,
    ) -> Self {
        Self {
            identity: json!({ "recorded": name }),
            source: Source::Function(Box::new(answer)),
            usage: Mutex::default(),
        }
    }

    fn one(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        match &self.source {
            Source::File(path, answers) => {
                let found = answers.get(&request.key(&self.identity)?);
                found.cloned().ok_or_else(|| ChatError::Unrecorded {
                    id: request.id.clone(),
                    path: path.clone(),
                })
            }
            Source::Function(answer) => {
                let text = answer(request);
                let words = |text: &str| text.split_whitespace().count() as u64;
                let asked = request.turns().iter().map(|m| words(&m.plain_text()));
                Ok(ChatReply {
                    prompt_tokens: asked.sum(),
                    completion_tokens: words(&text),
                    text,
                    reasoning: None,
                    finish_reason: ChatFinish::Stop,
                    first_token: Vec::new(),
                    model: "recorded".into(),
                    cached: false,
                })
            }
        }
    }
}

impl ChatModel for Recorded<'_> {
    fn identity(&self) -> Value {
        self.identity.clone()
    }

    fn chat(&self, requests: &[ChatRequest]) -> Vec<Result<ChatReply, ChatError>> {
        let answers = requests.iter().map(|request| {
            let reply = self.one(request)?;
            lock(&self.usage).add(&reply, &Prices::default());
            Ok(reply)
        });
        answers.collect()
    }

    fn calls(&self) -> Calls {
        Calls {
            at_once: 1,
            requests: 64,
        }
    }

    fn usage(&self) -> Usage {
        lock(&self.usage).clone()
    }
}
