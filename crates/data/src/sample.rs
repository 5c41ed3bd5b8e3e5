//! One row of a data set: the first type of the line `Sample → Prompt → Rollout → …`.

use serde_json::{Map, Value};

use crate::{Media, Message, Objects, Part, Preference, Role, Video};

/// One row of a data set.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Stable name: `train.jsonl:118` (1-based row) or the data set's own id.
    pub id: String,
    /// The prompt; may end with an assistant turn for supervised training.
    pub messages: Vec<Message>,
    /// Images in order of appearance in `messages`.
    pub images: Vec<Media>,
    /// Videos in order of appearance in `messages`.
    pub videos: Vec<Video>,
    /// Ground truth for the verifier.
    pub answer: Option<String>,
    /// Other answers that are as right as `answer` (a list of texts in the answer's column).
    pub alternatives: Vec<String>,
    /// Expert trajectory (assistant text); the first of several.
    pub expert: Option<String>,
    /// Further expert trajectories of the same row, for methods that put several into a group.
    pub more_experts: Vec<String>,
    /// An expert trajectory that is more than one text: tool calls, their results, the answer. Supervised
    /// training learns its assistant turns; `expert` is then the text of the last one.
    pub trajectory: Vec<Message>,
    /// Answers or pictures of which one is better; `messages` is then the prompt alone.
    pub preference: Option<Preference>,
    /// What the chat template gets besides the turns.
    pub template: TemplateFields,
    /// ms-swift's `objects`: what stands for `<ref-object>` and `<bbox>`.
    pub objects: Option<Objects>,
    /// What the row says and the reader made nothing of: tags without a picture, fields of turns and parts.
    /// Each is a kind (`tag <audio>`), not a place, so that a data set can count them.
    pub unread: Vec<String>,
    /// Everything else: question type, `data_source`, …
    pub meta: Map<String, Value>,
    /// Whether the row's prompt is a list of messages and not a text (TRL's conversational form).
    pub conversational: bool,
}

/// What a chat template gets besides the turns (`apply_chat_template(…, tools=…, **chat_template_kwargs)`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TemplateFields {
    /// Tools that the model may call, as JSON schemas.
    pub tools: Option<Value>,
    /// Named values: `enable_thinking`, ….
    pub kwargs: Map<String, Value>,
}

impl Sample {
    /// A sample with this id and conversation and nothing else.
    pub fn new(id: impl Into<String>, messages: Vec<Message>) -> Self {
        Self {
            id: id.into(),
            messages,
            images: Vec::new(),
            videos: Vec::new(),
            answer: None,
            alternatives: Vec::new(),
            expert: None,
            more_experts: Vec::new(),
            trajectory: Vec::new(),
            preference: None,
            template: TemplateFields::default(),
            objects: None,
            unread: Vec::new(),
            meta: Map::new(),
            conversational: false,
        }
    }

    /// The prompt as a reward function of TRL's gets it: `[{"role": …, "content": …}]`, content as text or as a list of
    /// `{"type": "image"}` and `{"type": "text", "text": …}`; none where the row's prompt is a text.
    pub fn conversation(&self) -> Option<serde_json::Value> {
        let spoken = |message: &&Message| message.role == Role::Assistant;
        let answers = self.messages.iter().rev().take_while(spoken).count();
        let prompt = &self.messages[..self.messages.len() - answers];
        let turn = |message: &Message| {
            let part = |part: &Part| match part {
                Part::Text(text) => serde_json::json!({"type": "text", "text": text}),
                Part::Image(_) => serde_json::json!({"type": "image"}),
                Part::Video(_) => serde_json::json!({"type": "video"}),
            };
            let content = match message.content.as_slice() {
                [Part::Text(text)] => text.as_str().into(),
                parts => parts.iter().map(part).collect::<serde_json::Value>(),
            };
            serde_json::json!({"role": message.role.as_str(), "content": content})
        };
        self.conversational
            .then(|| prompt.iter().map(turn).collect())
    }
}
