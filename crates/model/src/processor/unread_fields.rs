//! What a row gives to the chat template and the template does not write.

use std::collections::BTreeSet;

use percept_data::{Message, Sample};

use crate::processor::chat::Chat;

/// Fields of turns, `tools` and `chat_template_kwargs` of a row that change nothing in the text: the chat
/// template does not know them. Empty where the template refuses the row, which is another error.
pub(super) fn unread(chat: &Chat, sample: &Sample) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |answer: &[Message]| {
        for kind in unread_of(chat, sample, answer) {
            if !found.contains(&kind) {
                found.push(kind);
            }
        }
    };
    match &sample.preference {
        None => add(&sample.trajectory),
        Some(pair) => {
            let others = pair.rejected.iter().chain(&pair.corrected);
            std::iter::once(&pair.chosen)
                .chain(others)
                .for_each(|answer| add(answer));
        }
    }
    found
}

/// The same, of the prompt with one answer.
fn unread_of(chat: &Chat, sample: &Sample, answer: &[Message]) -> Vec<String> {
    let turns = || sample.messages.iter().chain(answer);
    let fields: BTreeSet<&String> = turns().flat_map(|turn| turn.fields.keys()).collect();
    if fields.is_empty() && sample.template == percept_data::TemplateFields::default() {
        return Vec::new();
    }
    let all: Vec<Message> = turns().cloned().collect();
    let Ok(text) = chat.render(sample, &all, false) else {
        return Vec::new();
    };
    let mut unread = Vec::new();
    for field in fields {
        let mut without = all.clone();
        for turn in &mut without {
            turn.fields.remove(field);
        }
        if chat
            .render(sample, &without, false)
            .is_ok_and(|found| found == text)
        {
            unread.push(format!(
                "field {field} of a turn: the chat template does not write it"
            ));
        }
    }
    let open = chat.render(sample, &all, true).ok();
    let mut note = |what: String, without: &Sample| {
        let same = chat
            .render(without, &all, false)
            .is_ok_and(|found| found == text)
            && chat.render(without, &all, true).ok() == open;
        if same {
            unread.push(format!("{what}: the chat template does not write it"));
        }
    };
    if sample.template.tools.is_some() {
        let mut without = sample.clone();
        without.template.tools = None;
        note("column tools".to_owned(), &without);
    }
    for name in sample.template.kwargs.keys() {
        let mut without = sample.clone();
        without.template.kwargs.shift_remove(name);
        note(format!("chat_template_kwargs.{name}"), &without);
    }
    unread
}
