//! Chat templates against transformers (`tools/chat_goldens.py`).

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use percept_data::{ChatTemplate, Message, Part, Role, TemplateFields};
use serde_json::Value;

fn message(turn: &Value) -> Message {
    let role = match turn["role"].as_str().unwrap() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => Role::Tool,
    };
    let content = match &turn["content"] {
        Value::String(text) => vec![Part::Text(text.clone())],
        parts => parts
            .as_array()
            .unwrap()
            .iter()
            .map(|part| match part["type"].as_str().unwrap() {
                "image" => Part::Image(0),
                "video" => Part::Video(0),
                _ => Part::Text(part["text"].as_str().unwrap().to_owned()),
            })
            .collect(),
    };
    Message::new(role, content)
}

#[test]
fn real_templates_render_as_in_transformers() {
    // Another folder of templates: `python tools/chat_goldens.py --out DIR` fills it.
    let folder = std::env::var_os("PERCEPT_CHAT_GOLDENS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat"),
        PathBuf::from,
    );
    let cases = std::fs::read_to_string(folder.join("rendered.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for case in &cases {
        let text = |field: &str| case[field].as_str().unwrap();
        let source = std::fs::read_to_string(folder.join(text("template"))).unwrap();
        let template = ChatTemplate::new(&source, text("bos_token"), text("eos_token")).unwrap();
        let turns: Vec<Message> = case["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(message)
            .collect();
        let found = template.render(&turns, case["add_generation_prompt"] == true);
        if found.as_deref().ok() != case["rendered"].as_str() {
            wrong.push(format!(
                "{}, {}: {found:?}\n  expected {}",
                case["template"], case["conversation"], case["rendered"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// D5: `tools/chat_fields_goldens.py`.
#[test]
fn tools_calls_thoughts_and_named_values_render_as_in_transformers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat");
    let golden: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("fields.json")).unwrap())
            .unwrap();
    let turn = |turn: &Value| {
        let role = match turn["role"].as_str().unwrap() {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => Role::Tool,
        };
        let mut fields = turn.as_object().unwrap().clone();
        fields.shift_remove("role");
        let content = fields.shift_remove("content");
        let content = content.map(|text| Part::Text(text.as_str().unwrap().to_owned()));
        Message {
            fields,
            ..Message::new(role, content.into_iter().collect())
        }
    };
    let (mut wrong, mut calls) = (Vec::new(), 0);
    let cases = golden["cases"].as_array().unwrap();
    for case in cases {
        let text = |at: usize| case[at].as_str().unwrap();
        let source = std::fs::read_to_string(folder.join(text(0))).unwrap();
        let template = ChatTemplate::new(&source, "<s>", "</s>").unwrap();
        let turns = golden["conversations"][text(1)].as_array().unwrap();
        let turns: Vec<Message> = turns.iter().map(turn).collect();
        let given = &golden["fields"][case[2].as_u64().unwrap() as usize];
        let fields = TemplateFields {
            tools: given.get("tools").cloned(),
            kwargs: given["kwargs"].as_object().unwrap().clone(),
        };
        calls += usize::from(text(4).contains("<tool_call>\n{\"name\": \"zoom\""));
        match template.render_with(&turns, &fields, case[3] == true) {
            Ok(found) if found == text(4) => {}
            found => wrong.push(format!(
                "{} {} {}: {found:?}\n  not {:?}",
                text(0),
                text(1),
                case[2],
                text(4)
            )),
        }
    }
    assert!(
        cases.len() > 200 && calls > 20,
        "{} cases, {calls} calls",
        cases.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
