//! A pair as a row in TRL's conversational form.

use percept_data::{Message, Part, Sample, template_columns, text_part_json, turn_json};
use serde_json::{Map, Value, json};

use crate::answer::Answered;

/// Columns that readers take for something; a column of the source with such a name keeps its content under `source_NAME`.
const TAKEN: [&str; 22] = [
    "id",
    "prompt",
    "chosen",
    "rejected",
    "images",
    "image",
    "rejected_images",
    "visual_pair",
    "messages",
    "conversations",
    "videos",
    "video",
    "expert",
    "completion",
    "response",
    "rejected_response",
    "rejected_messages",
    "system",
    "history",
    "question",
    "query",
    "audios",
];

fn turns(messages: &[Message]) -> Value {
    let part = |part: &Part| match part {
        Part::Text(text) => text_part_json(text),
        Part::Image(_) => json!({"type": "image"}),
        Part::Video(_) => json!({"type": "video"}),
    };
    let turn = |message: &Message| turn_json(message, message.content.iter().map(part).collect());
    messages.iter().map(turn).collect()
}

/// The row. Without `rejected_images` it is a pair of answers alone.
pub(crate) fn record(
    sample: &Sample,
    answered: &Answered,
    images: &[String],
    rejected_images: &[String],
    decision: Value,
) -> Value {
    let mut row = Map::new();
    row.insert("id".into(), sample.id.as_str().into());
    row.insert("prompt".into(), turns(&answered.prompt));
    row.insert("chosen".into(), turns(&answered.chosen));
    let rejected = answered.rejected.iter().map(|answer| turns(answer));
    match rejected.collect::<Vec<Value>>() {
        none if none.is_empty() => {}
        // Of several a list, as readers of pairs take it.
        several if several.len() > 1 => {
            row.insert("rejected".into(), several.into());
        }
        one => row.extend(
            one.into_iter()
                .map(|answer| ("rejected".to_owned(), answer)),
        ),
    }
    row.insert("images".into(), json!(images));
    if !rejected_images.is_empty() {
        row.insert("rejected_images".into(), json!(rejected_images));
    }
    row.insert("visual_pair".into(), decision);
    if let Some(pair) = &sample.preference {
        let corrected = pair.corrected.as_ref().map(|answer| turns(answer));
        row.extend(corrected.map(|answer| ("corrected".to_owned(), answer)));
        for (name, value) in [("confidence", pair.confidence), ("clip_gap", pair.clip_gap)] {
            row.extend(value.map(|value| (name.to_owned(), value.into())));
        }
    }
    if let Some(answer) = &sample.answer {
        row.insert("answer".into(), answer.as_str().into());
    }
    row.extend(template_columns(sample));
    for (name, value) in &sample.meta {
        let free = !TAKEN.contains(&name.as_str()) && !row.contains_key(name);
        let name = match free {
            true => name.clone(),
            false => format!("source_{name}"),
        };
        row.entry(name).or_insert_with(|| value.clone());
    }
    row.into()
}
