//! Preference pairs in the forms of the field, and each mistake in them with file, row and field.

#![allow(clippy::unwrap_used)]

mod pictures;

use percept_data::{
    ColumnMap, Dataset, Error, FileDataset, Media, Message, Part, Preference, Role, Sample,
};
use pictures::Folder;
use serde_json::{Value, json};

fn read_with(row: &Value, columns: &ColumnMap) -> Result<Sample, Error> {
    let folder = Folder::new();
    let path = folder.file("x.jsonl", format!("\n{row}\n"));
    let mut sample = FileDataset::open(&[path], columns, None)?.get(0)?;
    // The folder goes: keep the pixels.
    let rejected = sample
        .preference
        .iter_mut()
        .flat_map(|p| &mut p.rejected_images);
    for image in sample.images.iter_mut().chain(rejected.flatten()) {
        *image = Media::from_image(image.decode()?);
    }
    Ok(sample)
}

fn read(row: &Value) -> Result<Sample, Error> {
    read_with(row, &ColumnMap::default())
}

fn one(row: Value) -> Sample {
    read(&row).unwrap_or_else(|error| panic!("{row}: {error}"))
}

fn turns(messages: &[Message], images: &[Media]) -> String {
    let turn = |message: &Message| {
        let parts = message.content.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Image(at) => format!("⟨{}⟩", images[*at].dimensions().unwrap().0),
            Part::Video(at) => format!("⟨video {at}⟩"),
        });
        format!("{}: {}", message.role, parts.collect::<String>())
    };
    messages.iter().map(turn).collect::<Vec<_>>().join(" | ")
}

/// Prompt, chosen, rejected and rejected pictures (by their widths).
fn outline(sample: &Sample) -> [String; 4] {
    let Preference {
        chosen,
        rejected,
        rejected_images,
        ..
    } = sample.preference.as_ref().expect("a pair");
    let rejected: Vec<String> = rejected.iter().map(|answer| turns(answer, &[])).collect();
    let widths = |set: &Vec<Media>| {
        let widths = set
            .iter()
            .map(|image| image.dimensions().unwrap().0.to_string());
        widths.collect::<Vec<_>>().join("+")
    };
    [
        turns(&sample.messages, &sample.images),
        turns(chosen, &[]),
        rejected.join(" / "),
        rejected_images
            .iter()
            .map(widths)
            .collect::<Vec<_>>()
            .join(" / "),
    ]
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn says(text: &str) -> Value {
    json!({"role": "assistant", "content": text})
}

#[test]
fn pairs_of_every_tool_are_read() {
    let asked = "user: ⟨3⟩What is it?";
    let (good, bad) = ("assistant: A dog.", "assistant: A cat.");
    let gpt = |text: &str| json!({"from": "gpt", "value": text});
    let parts = json!([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]);
    let mut rows: Vec<(&str, Value)> = vec![
        (
            "trl, texts",
            json!({"prompt": "What is it?", "chosen": "A dog.", "rejected": "A cat.", "image": "a.png"}),
        ),
        (
            "trl, turns",
            json!({"prompt": parts, "chosen": [says("A dog.")], "rejected": [says("A cat.")], "images": ["a.png"]}),
        ),
        (
            "trl, implicit prompt",
            json!({"chosen": [user("What is it?"), says("A dog.")], "rejected": [user("What is it?"), says("A cat.")], "images": ["a.png"]}),
        ),
        (
            "trl, answers that repeat a prompt of turns",
            json!({"prompt": [user("<image>What is it?")], "chosen": [user("What is it?"), says("A dog.")], "rejected": [says("A cat.")], "images": ["a.png"]}),
        ),
        (
            "trl, answers that repeat a prompt of text",
            json!({"prompt": "What is it?", "chosen": [user("What is it?"), says("A dog.")], "rejected": [user("What is it?"), says("A cat.")], "images": ["a.png"]}),
        ),
        (
            "ultrafeedback: the conversation holds the chosen answer too",
            json!({"messages": [user("What is it?"), says("A dog.")], "chosen": [user("What is it?"), says("A dog.")], "rejected": [user("What is it?"), says("A cat.")], "images": ["a.png"]}),
        ),
        (
            "rlaif-v",
            json!({"ds_name": "x", "question": "What is it?", "chosen": "A dog.", "rejected": "A cat.", "image": {"bytes": null, "path": "a.png"}, "idx": 3}),
        ),
        (
            "rlhf-v, first form",
            json!({"ds_name": "x", "text": json!({"question": "What is it?", "chosen": "A dog.", "rejected": "A cat."}).to_string(), "image": "a.png", "idx": 3}),
        ),
        (
            "ms-swift, text",
            json!({"messages": [user("<image>What is it?"), says("A dog.")], "rejected_response": "A cat.", "images": ["a.png"]}),
        ),
        (
            "ms-swift, turns",
            json!({"messages": [user("<image>What is it?"), says("A dog.")], "rejected_response": [says("A cat.")], "images": ["a.png"]}),
        ),
        (
            "ms-swift, conversations",
            json!({"messages": [user("<image>What is it?"), says("A dog.")], "rejected_messages": [user("<image>What is it?"), says("A cat.")], "images": ["a.png"]}),
        ),
        (
            "ms-swift, query and response",
            json!({"query": "<image>What is it?", "response": "A dog.", "rejected_response": "A cat.", "images": ["a.png"]}),
        ),
        (
            "llama-factory",
            json!({"conversations": [{"from": "human", "value": "<image>What is it?"}], "chosen": gpt("A dog."), "rejected": gpt("A cat."), "images": ["a.png"]}),
        ),
        (
            "llama-factory, roles",
            json!({"messages": [user("<image>What is it?")], "chosen": says("A dog."), "rejected": says("A cat."), "images": ["a.png"]}),
        ),
        (
            "llama-factory, alpaca",
            json!({"instruction": "<image>What is it?", "input": "", "chosen": "A dog.", "rejected": "A cat.", "images": ["a.png"]}),
        ),
        (
            "easy-r1",
            json!({"problem": "<image>What is it?", "answer": "dog", "chosen": "A dog.", "rejected": "A cat.", "images": ["a.png"]}),
        ),
    ];
    for (tool, row) in &mut rows {
        let sample = read(row).unwrap_or_else(|error| panic!("{tool}: {error}"));
        assert_eq!(outline(&sample), [asked, good, bad, ""], "{tool}");
        assert!(sample.unread.is_empty(), "{tool}: {:?}", sample.unread);
        // With pictures that are rejected, and with these alone.
        row["rejected_images"] = json!(["b.png"]);
        let both = read(row).unwrap_or_else(|error| panic!("{tool}: {error}"));
        assert_eq!(outline(&both)[3], "4", "{tool}");
    }
    let extra = one(rows[6].1.clone());
    assert_eq!(
        (extra.meta["ds_name"].as_str(), extra.meta["idx"].as_u64()),
        (Some("x"), Some(3))
    );
    let extra = one(rows[7].1.clone());
    assert_eq!((extra.meta.len(), extra.meta["idx"].as_u64()), (2, Some(3)));
    assert_eq!(one(rows[15].1.clone()).answer.as_deref(), Some("dog"));
}

#[test]
fn pictures_alone_may_differ_and_there_may_be_several_versions() {
    let row = |pictures: Value| json!({"messages": [user("<image>and <image>?"), says("A dog.")], "images": ["a.png", "b.png"], "rejected_images": pictures});
    for (pictures, expected) in [
        (json!(["b.png", "c.png"]), "4+5"),
        (json!([["b.png", "c.png"], ["a.png", "a.png"]]), "4+5 / 3+3"),
        (json!("['b.png', 'c.png']"), "4+5"),
        (
            json!([{"path": "b.png", "bytes": null}, {"path": "c.png"}]),
            "4+5",
        ),
    ] {
        let sample = one(row(pictures));
        assert_eq!(
            outline(&sample),
            ["user: ⟨3⟩and ⟨4⟩?", "assistant: A dog.", "", expected]
        );
    }
    let trl = one(
        json!({"prompt": "?", "chosen": "A dog.", "rejected": [], "image": "a.png", "rejected_image": "b.png"}),
    );
    assert_eq!(outline(&trl), ["user: ⟨3⟩?", "assistant: A dog.", "", "4"]);
}

#[test]
fn several_rejected_answers_are_kept_in_order() {
    let row = |rejected: Value| json!({"prompt": "?", "chosen": "A", "rejected": rejected});
    for rejected in [
        json!(["B", "C"]),
        json!([[says("B")], [says("C")]]),
        json!([[says("B")], "C"]),
        json!([[user("?"), says("B")], "C"]),
    ] {
        assert_eq!(
            outline(&one(row(rejected)))[2],
            "assistant: B / assistant: C"
        );
    }
    let numbered = json!({"prompt": "?", "chosen": "A", "rejected_10": "D", "rejected_2": "C", "rejected": "B"});
    assert_eq!(
        outline(&one(numbered))[2],
        "assistant: B / assistant: C / assistant: D"
    );
    let swift = json!({"messages": [user("?"), says("A")], "rejected_response": ["B", "C"]});
    assert_eq!(outline(&one(swift))[2], "assistant: B / assistant: C");
}

/// As trl.extract_prompt does it; tests/fixtures/pairs_implicit.jsonl holds what that says of such rows.
#[test]
fn the_shared_beginning_is_the_prompt() {
    let system = json!({"role": "system", "content": "S"});
    let row = json!({
        "chosen": [system, user("1"), says("a"), user("2"), says("b")],
        "rejected": [system, user("1"), says("a"), user("2"), says("c")],
    });
    assert_eq!(
        outline(&one(row)),
        [
            "system: S | user: 1 | assistant: a | user: 2",
            "assistant: b",
            "assistant: c",
            ""
        ]
    );
    let call = json!({"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "zoom", "arguments": {}}}]});
    let result = json!({"role": "tool", "content": "dog"});
    let row = json!({
        "chosen": [user("1"), call, result, says("b")], "rejected": [user("1"), call, result, says("c")],
    });
    let sample = one(row);
    assert_eq!(outline(&sample)[0], "user: 1 | assistant:  | tool: dog");
    // Equal answers are a matter of `data check`, not of the reader.
    let equal = json!({"chosen": [user("1"), says("b")], "rejected": [user("1"), says("b")]});
    assert_eq!(
        outline(&one(equal)),
        ["user: 1", "assistant: b", "assistant: b", ""]
    );
    // One that answers by a call, one that answers at once.
    let row =
        json!({"chosen": [user("1"), call, result, says("b")], "rejected": [user("1"), says("c")]});
    assert_eq!(
        outline(&one(row))[1],
        "assistant:  | tool: dog | assistant: b"
    );
}

#[test]
fn ms_swift_replaces_the_last_turn_by_a_text_and_the_whole_answer_by_turns() {
    let call = json!({"role": "tool_call", "content": "{\"name\": \"zoom\", \"arguments\": {}}"});
    let result = json!({"role": "tool_response", "content": "dog"});
    let messages = json!([user("1"), call, result, says("b")]);
    let text = one(json!({"messages": messages, "rejected_response": "c"}));
    assert_eq!(
        outline(&text)[..3],
        [
            "user: 1 | assistant:  | tool: dog",
            "assistant: b",
            "assistant: c"
        ]
    );
    let turns = one(json!({"messages": messages, "rejected_response": [says("c")]}));
    assert_eq!(
        outline(&turns)[..3],
        [
            "user: 1",
            "assistant:  | tool: dog | assistant: b",
            "assistant: c"
        ]
    );
}

/// HH-RLHF has no column for the prompt, and no turns.
#[test]
fn conversations_written_as_one_text_are_read() {
    let asked = "\n\nHuman: What is it?\n\nAssistant: A dog.\n\nHuman: Which Human: or Assistant: one?\n\nAssistant:";
    let row = one(
        json!({"chosen": format!("{asked} A poodle."), "rejected": format!("{asked} No\n\nidea.")}),
    );
    assert_eq!(
        outline(&row),
        [
            "user: What is it? | assistant: A dog. | user: Which Human: or Assistant: one?",
            "assistant: A poodle.",
            "assistant: No\n\nidea.",
            ""
        ]
    );
    let other = json!({"chosen": "\n\nHuman: A?\n\nAssistant: B", "rejected": "\n\nHuman: C?\n\nAssistant: B"});
    assert!(
        read(&other)
            .unwrap_err()
            .to_string()
            .contains("same prompt")
    );
    // The same tools for both answers are no difference.
    let tools = json!([{"name": "zoom"}]);
    one(
        json!({"messages": [user("?"), says("A")], "rejected_response": "B", "tools": tools, "rejected_tools": tools}),
    );
}

#[test]
fn what_some_losses_take_besides_is_read() {
    let sample = one(
        json!({"prompt": "?", "chosen": "A", "rejected": "B", "corrected": "C", "confidence": "0.75", "clip_gap": -1.5}),
    );
    let pair = sample.preference.unwrap();
    assert_eq!(turns(&pair.corrected.unwrap(), &[]), "assistant: C");
    assert_eq!((pair.confidence, pair.clip_gap), (Some(0.75), Some(-1.5)));
    // Of a row that is no pair they are somebody's columns.
    let plain =
        one(json!({"prompt": "?", "response": "A", "confidence": "high", "corrected": true}));
    assert_eq!((plain.meta.len(), plain.preference.is_none()), (2, true));
}

#[test]
fn columns_can_be_named() {
    let columns = ColumnMap {
        prompt: Some("q".into()),
        chosen: Some("good".into()),
        rejected: Some("bad".into()),
        rejected_images: Some("blurred".into()),
        ..ColumnMap::default()
    };
    let row = json!({"q": "?", "good": "A", "bad": "B", "images": ["a.png"], "blurred": ["b.png"]});
    let sample = read_with(&row, &columns).unwrap();
    assert_eq!(
        outline(&sample),
        ["user: ⟨3⟩?", "assistant: A", "assistant: B", "4"]
    );
    let error = read_with(&json!({"q": "?", "good": "A"}), &columns).unwrap_err();
    assert!(error.to_string().contains("no such column"), "{error}");
}

/// Supervised training on pairs: as TRL's SFTTrainer it does not take `chosen` of its own accord; what ended a
/// conversation before (ms-swift) it still learns.
#[test]
fn supervised_training_keeps_its_targets() {
    let trl = json!({"prompt": "?", "chosen": "A", "rejected": "B"});
    let sample = one(trl.clone());
    assert!(sample.expert.is_none() && sample.trajectory.is_empty());
    let columns = ColumnMap {
        expert: Some("chosen".into()),
        ..ColumnMap::default()
    };
    assert_eq!(
        read_with(&trl, &columns).unwrap().expert.as_deref(),
        Some("A")
    );
    let swift = one(json!({"messages": [user("?"), says("A")], "rejected_response": "B"}));
    assert_eq!(swift.expert.as_deref(), Some("A"));
    assert_eq!(turns(&swift.trajectory, &[]), "assistant: A");
    let both = one(json!({"prompt": "?", "response": "R", "chosen": "A", "rejected": "B"}));
    assert_eq!(both.expert.as_deref(), Some("R"));
    assert!(
        both.unread[0].contains("column response of a pair"),
        "{:?}",
        both.unread
    );
}

#[test]
fn rows_that_are_no_pairs_stay_what_they_were() {
    for row in [
        json!({"prompt": "?", "response": "A", "rejected": false}),
        json!({"prompt": "?", "response": "A", "chosen": null, "rejected": null, "rejected_images": []}),
        json!({"prompt": "?", "response": "A", "rejected_images": [null]}),
        json!({"prompt": "?", "response": "A", "rejected": 3, "chosen": 2}),
        json!({"prompt": "?", "response": "A", "text": "{\"a\": 1}"}),
        json!({"prompt": "?", "response": "A", "instruction": "x", "input": 3}),
    ] {
        let sample = one(row.clone());
        assert!(sample.preference.is_none(), "{row}");
        assert_eq!(sample.expert.as_deref(), Some("A"), "{row}");
    }
    assert_eq!(
        one(json!({"prompt": "?", "rejected": false})).meta["rejected"],
        false
    );
}

/// A recipe that reads such a column as something else goes on to do so.
#[test]
fn columns_that_the_recipe_reads_otherwise_make_no_pair() {
    let row = json!({"prompt": "?", "chosen": "A"});
    let columns = ColumnMap {
        expert: Some("chosen".into()),
        ..ColumnMap::default()
    };
    let sample = read_with(&row, &columns).unwrap();
    assert!(sample.preference.is_none() && sample.expert.as_deref() == Some("A"));
    let columns = ColumnMap {
        answer: Some("chosen".into()),
        prompt: Some("rejected".into()),
        ..ColumnMap::default()
    };
    let sample = read_with(&json!({"rejected": "?", "chosen": "A"}), &columns).unwrap();
    assert!(sample.preference.is_none() && sample.answer.as_deref() == Some("A"));
}

#[test]
fn what_is_read_otherwise_than_it_says_is_counted() {
    let tags = one(
        json!({"prompt": "?", "chosen": "The tag <image>.", "rejected": "B", "image": "a.png"}),
    );
    assert_eq!(outline(&tags)[1], "assistant: The tag <image>.");
    assert_eq!(tags.unread, ["tag <image> in an answer of a pair"]);
    let turn = json!([{"role": "assistant", "content": "See <image> there"}]);
    let tags = one(json!({"prompt": "?", "chosen": turn, "rejected": "B"}));
    assert_eq!(outline(&tags)[1], "assistant: See <image> there");
    let swift = one(
        json!({"messages": [user("?"), says("A")], "rejected_response": "B", "images": ["a.png"], "rejected_images": ["b.png"]}),
    );
    assert!(
        swift.unread[0].contains("rejected_images belong to"),
        "{:?}",
        swift.unread
    );
    // As the documentation of ms-swift has it: the same picture again is no contrast.
    let same = one(json!({
        "messages": [user("<image>?"), says("A")], "images": ["a.png"],
        "rejected_messages": [user("<image>?"), says("B")], "rejected_images": ["a.png"],
    }));
    assert_eq!(outline(&same)[2..], ["assistant: B", ""]);
    assert!(same.unread.is_empty(), "{:?}", same.unread);
    let left =
        one(json!({"prompt": "?", "chosen": "A", "rejected": "B", "rejected_response": "C"}));
    assert_eq!(left.meta["rejected_response"], "C");
}

/// Must-show 9: each is named with file, row and field.
#[test]
fn each_mistake_is_named_with_its_place() {
    let pair = |chosen: Value, rejected: Value| json!({"prompt": "?", "chosen": chosen, "rejected": rejected});
    let pictures = |images: Value, rejected: Value| json!({"prompt": "?", "chosen": "A", "rejected": "B", "images": images, "rejected_images": rejected});
    let with = |name: &str, value: Value| {
        let mut row = pair(json!("A"), json!("B"));
        row[name] = value;
        row
    };
    let system = json!({"role": "system", "content": "S"});
    let picture = json!([{"role": "assistant", "content": [{"type": "image"}, {"type": "text", "text": "A"}]}]);
    let cases: Vec<(Value, &str, &str)> = vec![
        // One side is not there.
        (
            json!({"prompt": "?", "chosen": "A"}),
            "chosen",
            "without a rejected one",
        ),
        (
            json!({"prompt": "?", "chosen": "A", "rejected": null}),
            "chosen",
            "without a rejected one",
        ),
        (
            json!({"prompt": "?", "chosen": "A", "rejected": []}),
            "chosen",
            "without a rejected one",
        ),
        (
            json!({"prompt": "?", "rejected": "B"}),
            "rejected",
            "without a chosen answer",
        ),
        (
            json!({"messages": [user("?")], "rejected_response": "B"}),
            "rejected_response",
            "without a chosen answer",
        ),
        (
            json!({"prompt": "?", "images": ["a.png"], "rejected_images": ["b.png"]}),
            "rejected_images",
            "without a chosen answer",
        ),
        // No prompt.
        (json!({"chosen": "A", "rejected": "B"}), "", "no prompt"),
        (
            json!({"chosen": [says("A")], "rejected": [says("B")]}),
            "",
            "no prompt",
        ),
        (
            json!({"messages": [says("A")], "rejected_response": "B"}),
            "messages",
            "not a conversation",
        ),
        // Wrong types.
        (pair(json!(5), json!("B")), "chosen", "not an answer"),
        (pair(json!("A"), json!(true)), "rejected", "not an answer"),
        (
            pair(json!("A"), json!(["B", 7])),
            "rejected[1]",
            "not an answer",
        ),
        (
            pair(json!("A"), json!(["B", null])),
            "rejected[1]",
            "not an answer",
        ),
        (pair(json!([]), json!("B")), "chosen", "not an answer"),
        (pair(json!({"text": "A"}), json!("B")), "chosen", "no role"),
        (
            pair(json!("A"), json!([{"role": "bot", "content": "B"}])),
            "rejected[0].role",
            "unknown role",
        ),
        (
            pair(json!(["A", "B"]), json!("B")),
            "chosen",
            "not an answer",
        ),
        (
            json!({"instruction": 4, "chosen": "A", "rejected": "B"}),
            "instruction",
            "not text",
        ),
        // Empty answers.
        (pair(json!(""), json!("B")), "chosen", "empty"),
        (pair(json!("A"), json!(" \n")), "rejected", "empty"),
        (pair(json!([says("")]), json!("B")), "chosen[0]", "empty"),
        // Prompts that differ.
        (
            json!({"chosen": [user("1"), says("a")], "rejected": [user("2"), says("b")]}),
            "chosen[0]",
            "same prompt",
        ),
        (
            json!({"chosen": [user("1"), says("a"), user("2"), says("b")], "rejected": [user("1"), says("a"), user("3"), says("b")]}),
            "chosen[2]",
            "same prompt",
        ),
        (
            json!({"prompt": [user("1")], "chosen": [user("1"), says("a")], "rejected": [user("2"), says("b")]}),
            "rejected[0]",
            "not those of prompt",
        ),
        (
            json!({"prompt": "1", "chosen": [user("2"), says("a")], "rejected": [user("2"), says("b")]}),
            "prompt",
            "not what the answers reply to",
        ),
        (
            json!({"messages": [user("1"), says("a")], "chosen": "c", "rejected": "b"}),
            "messages[1]",
            "not the chosen one",
        ),
        (
            json!({"messages": [user("1"), says("a")], "rejected_messages": [user("2"), says("b")]}),
            "messages[0]",
            "same prompt",
        ),
        // Order of roles.
        (
            pair(json!([says("A"), user("more?")]), json!("B")),
            "chosen[1]",
            "no answer",
        ),
        (
            pair(json!("A"), json!([says("B"), user("more?"), says("C")])),
            "rejected[1]",
            "no answer",
        ),
        (
            pair(
                json!("A"),
                json!([{"role": "tool", "content": "x"}, says("B")]),
            ),
            "rejected[0]",
            "no answer",
        ),
        (
            pair(json!("A"), json!([says("B"), says("C")])),
            "rejected[1]",
            "two turns",
        ),
        (
            pair(
                json!([says("A"), {"role": "tool", "content": "x"}]),
                json!("B"),
            ),
            "chosen",
            "does not end",
        ),
        (
            json!({"chosen": [system, says("a")], "rejected": [user("1"), says("b")]}),
            "chosen[0]",
            "same prompt",
        ),
        // Pictures.
        (pair(picture, json!("B")), "chosen[0]", "shows a picture"),
        (
            pictures(json!(["a.png"]), json!(["b.png", "c.png"])),
            "rejected_images",
            "differ",
        ),
        (
            pictures(json!(["a.png", "b.png"]), json!(["c.png"])),
            "rejected_images",
            "differ",
        ),
        (
            pictures(json!(["a.png"]), json!([["b.png"], []])),
            "rejected_images[1]",
            "differ",
        ),
        (
            pictures(json!([]), json!(["b.png"])),
            "rejected_images",
            "without pictures",
        ),
        (
            pictures(json!(["a.png"]), json!([7])),
            "rejected_images[0]",
            "not an image",
        ),
        (
            pictures(json!(["a.png"]), json!(["https://x.org/a.png"])),
            "rejected_images[0]",
            "web address",
        ),
        // Numbers.
        (with("confidence", json!(1.5)), "confidence", "0 to 1"),
        (with("confidence", json!("sure")), "confidence", "0 to 1"),
        (with("clip_gap", json!([1])), "clip_gap", "finite"),
        (with("clip_gap", json!("NaN")), "clip_gap", "finite"),
        (with("corrected", json!(3)), "corrected", "not an answer"),
        (with("corrected", json!("")), "corrected", "empty"),
        (
            with("rejected_tools", json!([{"name": "zoom"}])),
            "rejected_tools",
            "tools of its own",
        ),
    ];
    assert!(cases.len() >= 25);
    for (row, field, expected) in cases {
        let error = match read(&row) {
            Err(error) => error,
            Ok(sample) => panic!("{row}: {:?}", sample.preference),
        };
        let text = error.to_string();
        assert!(text.contains("x.jsonl:2"), "{row}: {text}");
        assert!(text.contains(expected), "{row}: {text}");
        if !field.is_empty() {
            assert_eq!(
                error.report().field.as_deref(),
                Some(field),
                "{row}: {text}"
            );
        }
    }
}

#[test]
fn a_rejected_picture_that_is_not_there_is_an_error_when_it_is_read() {
    let folder = Folder::new();
    let row =
        json!({"prompt": "?", "chosen": "A", "image": "a.png", "rejected_images": ["none.png"]});
    let path = folder.file("x.jsonl", row.to_string());
    let data = FileDataset::open(&[path], &ColumnMap::default(), None).unwrap();
    let sample = data.get(0).unwrap();
    let error = sample.preference.unwrap().rejected_images[0][0]
        .decode()
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("x.jsonl:1") && text.contains("rejected_images[0]"),
        "{text}"
    );
}

/// A table has texts and nothing else: conversations, lists of pictures and numbers are written into them.
#[test]
fn pairs_in_a_table_are_read() {
    let folder = Folder::new();
    let turns = |answer: &str| {
        let turns = json!([user("What is it?"), says(answer)]).to_string();
        turns.replace('"', "\"\"")
    };
    let csv = format!(
        "prompt,chosen,rejected,image,rejected_images,confidence\n\
         What is it?,A dog.,A cat.,a.png,['b.png'],0.5\n\
         ,\"{}\",\"{}\",a.png,,\n\
         Plain?,,,,,\n",
        turns("A dog."),
        turns("A cat.")
    );
    let path = folder.file("x.csv", csv);
    let data = FileDataset::open(&[path], &ColumnMap::default(), None).unwrap();
    let asked = "user: ⟨3⟩What is it?";
    let (good, bad) = ("assistant: A dog.", "assistant: A cat.");
    let first = data.get(0).unwrap();
    assert_eq!(outline(&first), [asked, good, bad, "4"]);
    assert_eq!(first.preference.unwrap().confidence, Some(0.5));
    assert_eq!(outline(&data.get(1).unwrap()), [asked, good, bad, ""]);
    assert!(data.get(2).unwrap().preference.is_none());
}

/// Roles of the result: no prompt ends with the assistant.
#[test]
fn no_prompt_ends_with_an_answer() {
    for row in [
        json!({"messages": [user("?"), says("a"), user("and?"), says("A")], "rejected_response": "B"}),
        json!({"messages": [user("?"), says("A")], "images": ["a.png"], "rejected_images": ["b.png"]}),
        json!({"chosen": [user("?"), says("A")], "rejected": [user("?"), says("A")]}),
    ] {
        let sample = one(row.clone());
        assert_ne!(
            sample.messages.last().unwrap().role,
            Role::Assistant,
            "{row}"
        );
    }
}
