//! Anthropic's HH-RLHF: whole conversations as one text, `"\n\nHuman: …\n\nAssistant: …"`.

use crate::Role;
use crate::formats::row::Value;

const SPEAKERS: [(&str, Role); 2] = [
    ("\n\nHuman:", Role::User),
    ("\n\nAssistant:", Role::Assistant),
];

/// The turns of a text that begins with one of a human and has one of an assistant.
pub(super) fn dialogue(text: &str) -> Option<Vec<Value>> {
    let (human, assistant) = (SPEAKERS[0].0, SPEAKERS[1].0);
    if !text.starts_with(human) || !text.contains(assistant) {
        return None;
    }
    let mut turns = Vec::new();
    let mut rest = text;
    while let Some((mark, role)) = SPEAKERS.iter().find(|(mark, _)| rest.starts_with(mark)) {
        rest = &rest[mark.len()..];
        let ends = SPEAKERS.iter().filter_map(|(mark, _)| rest.find(mark));
        let end = ends.min().unwrap_or(rest.len());
        let said = Value::Text(rest[..end].trim().to_owned());
        let role = Value::Text(role.as_str().to_owned());
        turns.push(Value::Struct(vec![
            ("role".to_owned(), role),
            ("content".to_owned(), said),
        ]));
        rest = &rest[end..];
    }
    Some(turns)
}
