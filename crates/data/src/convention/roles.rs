//! Who speaks a turn, in the words of the field.

use crate::Role;

/// What a turn's role says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// A turn of this role.
    Role(Role),
    /// ms-swift and ShareGPT: a turn that is one tool call of the assistant.
    ToolCall,
}

/// The speaker by the names that TRL, OpenAI, ShareGPT, LLaMA-Factory and ms-swift use, in any case.
pub(crate) fn speaker(name: &str) -> Option<Speaker> {
    let name = name.trim().to_lowercase().replace('-', "_");
    let role = match name.as_str() {
        "system" | "developer" => Role::System,
        "user" | "human" => Role::User,
        "assistant" | "gpt" | "model" | "chatgpt" => Role::Assistant,
        "tool" | "function" | "tool_response" | "function_response" | "observation"
        | "observations" | "ipython" => Role::Tool,
        "tool_call" | "function_call" => return Some(Speaker::ToolCall),
        _ => return None,
    };
    Some(Speaker::Role(role))
}
