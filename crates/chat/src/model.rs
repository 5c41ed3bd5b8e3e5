//! What answers conversations.

use serde_json::Value;

use crate::{ChatError, ChatReply, ChatRequest, Usage};

/// A model that answers conversations.
pub trait ChatModel: Send + Sync {
    /// What answers, as far as the answer depends on it: the model's name and fixed options. It is
    /// part of [`ChatRequest::key`] and holds no secret.
    fn identity(&self) -> Value;

    /// One result for each request, in their order.
    fn chat(&self, requests: &[ChatRequest]) -> Vec<Result<ChatReply, ChatError>>;

    /// How the model likes to be called.
    fn calls(&self) -> Calls;

    /// What was sent and received so far.
    fn usage(&self) -> Usage;

    /// One request.
    ///
    /// # Errors
    /// Those of the model.
    fn ask(&self, request: &ChatRequest) -> Result<ChatReply, ChatError> {
        let answers = self.chat(std::slice::from_ref(request));
        answers.into_iter().next().unwrap_or(Err(ChatError::Silent))
    }
}

impl<M: ChatModel + ?Sized> ChatModel for &M {
    fn identity(&self) -> Value {
        (**self).identity()
    }

    fn chat(&self, requests: &[ChatRequest]) -> Vec<Result<ChatReply, ChatError>> {
        (**self).chat(requests)
    }

    fn calls(&self) -> Calls {
        (**self).calls()
    }

    fn usage(&self) -> Usage {
        (**self).usage()
    }
}

impl<M: ChatModel + ?Sized> ChatModel for Box<M> {
    fn identity(&self) -> Value {
        (**self).identity()
    }

    fn chat(&self, requests: &[ChatRequest]) -> Vec<Result<ChatReply, ChatError>> {
        (**self).chat(requests)
    }

    fn calls(&self) -> Calls {
        (**self).calls()
    }

    fn usage(&self) -> Usage {
        (**self).usage()
    }
}

/// How a model likes to be called: a server many times at once, a local model with many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Calls of [`ChatModel::chat`] at the same time.
    pub at_once: usize,
    /// Requests in each.
    pub requests: usize,
}
