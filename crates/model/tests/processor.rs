//! The processor against transformers (`tools/processor_goldens.py`, positions by
//! `tools/rope_index_reference.py`), and what it refuses.

#![allow(clippy::unwrap_used)]

#[path = "common/conversation.rs"]
mod conversation;

use std::fs;
use std::path::{Path, PathBuf};

use conversation::{picture, sample};
use percept_data::{Media, Message, Part, Role, Sample};
use percept_model::{Processor, SpanMarkers};
use serde_json::{Value, json};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/processor")
}

fn cases() -> Vec<Value> {
    serde_json::from_slice(&fs::read(golden().join("cases.json")).unwrap()).unwrap()
}

#[test]
fn prompts_equal_those_of_transformers() {
    let processor = Processor::load(&golden()).unwrap();
    for case in cases() {
        let sample = sample(&case);
        let name = &sample.id;
        let prompt = processor.prompt(&sample).unwrap();
        assert_eq!(prompt.text, case["text"].as_str().unwrap(), "{name}");
        assert_eq!(json!(prompt.tokens), case["tokens"], "{name}");
        assert_eq!(json!(prompt.positions), case["positions"], "{name}");
        assert_eq!(json!(prompt.next_position), case["next_position"], "{name}");
        assert_eq!(
            processor.decode(&prompt.tokens),
            case["decoded"].as_str().unwrap(),
            "{name}"
        );
        // Grids: percept keeps images and videos in order of appearance, transformers by kind.
        let mut grids = [Vec::new(), Vec::new()];
        let kinds = sample
            .messages
            .iter()
            .flat_map(|m| &m.content)
            .filter_map(|p| match p {
                Part::Text(_) => None,
                Part::Image(_) => Some(0),
                Part::Video(_) => Some(1),
            });
        for (kind, patches) in kinds.zip(&prompt.vision) {
            grids[kind].push(patches.grid_thw);
        }
        assert_eq!(json!(grids[0]), case["image_grid_thw"], "{name}");
        assert_eq!(json!(grids[1]), case["video_grid_thw"], "{name}");
        let merged: usize = prompt.vision.iter().map(|p| p.len() / 4).sum();
        assert_eq!(prompt.vision_index.len(), merged, "{name}");
        let vision = processor.vision_tokens().unwrap();
        for (row, &token) in prompt.tokens.iter().enumerate() {
            let placeholder = token == vision.image || Some(token) == vision.video;
            assert_eq!(
                prompt.vision_index.contains(&(row as u32)),
                placeholder,
                "{name}"
            );
        }
    }
}

#[test]
fn a_conversation_for_training_has_the_tokens_of_its_prompt_and_answer() {
    let processor = Processor::load(&golden()).unwrap();
    for case in cases() {
        let mut sample = sample(&case);
        let prompt = processor.prompt(&sample).unwrap();
        sample
            .messages
            .push(Message::text(Role::Assistant, "The answer is \\boxed{7}."));
        let training = processor.sft(&sample).unwrap();
        let whole = &training.prompt;
        assert_eq!(
            whole.tokens[..prompt.tokens.len()],
            prompt.tokens,
            "{}",
            sample.id
        );
        assert_eq!(
            whole.positions[..prompt.tokens.len()],
            prompt.positions,
            "{}",
            sample.id
        );
        // D1: an answer that is trained on stands where a sampled one does, also behind a long video.
        let answer = whole.positions[prompt.tokens.len()..].iter();
        for (at, position) in (prompt.next_position..).zip(answer) {
            assert_eq!(*position, [at; 3], "{}", sample.id);
        }
        assert_eq!(whole.tokens, {
            let text = format!("{}The answer is \\boxed{{7}}.<|im_end|>", prompt.text);
            let mut grids = prompt.vision.iter().map(|p| p.len() / 4);
            let vision = processor.vision_tokens().unwrap();
            let ids = processor.encode(&text).unwrap();
            let expand = |id| {
                let placeholder = id == vision.image || Some(id) == vision.video;
                std::iter::repeat_n(
                    id,
                    if placeholder {
                        grids.next().unwrap()
                    } else {
                        1
                    },
                )
            };
            ids.into_iter().flat_map(expand).collect::<Vec<_>>()
        });
        let assistants = sample
            .messages
            .iter()
            .filter(|m| m.role == Role::Assistant)
            .count();
        let starts = training.mask.windows(2).filter(|w| !w[0] && w[1]).count();
        assert_eq!(starts, assistants, "{}", sample.id);
    }
}

#[test]
fn a_saved_processor_makes_the_same_prompts() {
    let processor = Processor::load(&golden()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(
        golden().join("config.json"),
        folder.path().join("config.json"),
    )
    .unwrap();
    processor.save(folder.path()).unwrap();
    let back = Processor::load(folder.path()).unwrap();
    for case in cases() {
        let sample = sample(&case);
        let (a, b) = (
            processor.prompt(&sample).unwrap(),
            back.prompt(&sample).unwrap(),
        );
        assert_eq!(
            (a.tokens, a.positions, a.vision),
            (b.tokens, b.positions, b.vision)
        );
    }
    assert_eq!(processor.eos_ids(), back.eos_ids());
}

/// A copy of the golden folder, without some files.
fn folder_without(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden()).unwrap() {
        let entry = entry.unwrap();
        if !files.contains(&entry.file_name().to_str().unwrap()) {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    folder
}

fn user(content: Vec<Part>) -> Sample {
    let message = Message::new(Role::User, content);
    let mut sample = Sample::new("train.jsonl:7", vec![message]);
    sample.images.push(Media::from_image(picture(28, 28, 0)));
    sample
}

fn refusal<T>(result: Result<T, percept_model::Error>) -> String {
    match result {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "no {word:?} in: {error}");
    }
}

#[test]
fn placeholders_in_the_text_of_a_turn_are_refused() {
    let processor = Processor::load(&golden()).unwrap();
    let literal = |name: &str| Part::Text(format!("what is {name}?"));
    for name in ["<|image_pad|>", "<|video_pad|>"] {
        for content in [
            vec![literal(name)],
            vec![Part::Image(0), literal(name)],
            vec![literal(name), Part::Image(0)],
        ] {
            says(
                &refusal(processor.prompt(&user(content))),
                &["train.jsonl:7", "messages", "_pad|>"],
            );
        }
    }
}

#[test]
fn media_that_are_not_there_or_not_for_this_model_are_refused() {
    let processor = Processor::load(&golden()).unwrap();
    let ask = |part| user(vec![part, Part::Text("what?".into())]);
    let error = refusal(processor.prompt(&ask(Part::Image(1))));
    says(&error, &["train.jsonl:7", "images", "number 1", "has 1"]);
    let error = refusal(processor.prompt(&ask(Part::Video(0))));
    says(&error, &["train.jsonl:7", "videos", "number 0", "has 0"]);
    let mut broken = ask(Part::Image(0));
    broken.images[0] = Media::from_bytes(vec![1, 2, 3]);
    refusal(processor.prompt(&broken));

    let folder = folder_without(&["processor_config.json"]);
    let path = folder.path().join("config.json");
    fs::write(path, json!({"model_type": "qwen2"}).to_string()).unwrap();
    let text_model = Processor::load(folder.path()).unwrap();
    let error = refusal(text_model.prompt(&ask(Part::Image(0))));
    says(
        &error,
        &["train.jsonl:7", "reads text only", "vision-language"],
    );
    assert!(
        text_model
            .prompt(&user(vec![Part::Text("hi".into())]))
            .is_ok()
    );
}

#[test]
fn conversations_without_a_question_or_an_answer_are_refused() {
    let processor = Processor::load(&golden()).unwrap();
    for messages in [
        Vec::new(),
        vec![Message::text(Role::System, "Be brief.")],
        vec![Message::text(Role::Assistant, "42")],
        vec![
            Message::text(Role::System, "Be brief."),
            Message::text(Role::Assistant, "42"),
        ],
    ] {
        let error = refusal(processor.prompt(&Sample::new("a.jsonl:3", messages)));
        says(&error, &["a.jsonl:3", "messages", "user"]);
    }
    let question = user(vec![Part::Text("7?".into())]);
    says(
        &refusal(processor.sft(&question)),
        &["train.jsonl:7", "assistant", "expert"],
    );
    let mut silent = question.clone();
    silent.messages.push(Message {
        train: Some(false),
        ..Message::text(Role::Assistant, "7")
    });
    says(
        &refusal(processor.sft(&silent)),
        &["train.jsonl:7", "train"],
    );
    let mut expert = question;
    expert.expert = Some("7".into());
    assert_eq!(processor.sft(&expert).unwrap().trained_tokens(), 2);
}

#[test]
fn turns_behind_the_last_trained_one_are_left_out_with_their_images() {
    let processor = Processor::load(&golden()).unwrap();
    let mut sample = user(vec![Part::Image(0), Part::Text("7?".into())]);
    sample.messages.push(Message::text(Role::Assistant, "7"));
    let short = processor.sft(&sample).unwrap();
    let later = Message::new(Role::User, vec![Part::Image(0)]);
    sample.messages.push(later);
    sample.messages.push(Message {
        train: Some(false),
        ..Message::text(Role::Assistant, "8")
    });
    let long = processor.sft(&sample).unwrap();
    assert_eq!(
        (short.prompt.tokens, short.mask),
        (long.prompt.tokens, long.mask)
    );
}

#[test]
fn missing_and_malformed_files_are_named() {
    let load = |folder: &tempfile::TempDir| refusal(Processor::load(folder.path()).map(|_| ()));
    let folder = folder_without(&["processor_config.json"]);
    says(&load(&folder), &["preprocessor_config.json", "missing"]);
    let folder = folder_without(&["tokenizer.json"]);
    says(&load(&folder), &["tokenizer.json"]);

    for file in [
        "tokenizer.json",
        "tokenizer_config.json",
        "config.json",
        "processor_config.json",
    ] {
        let folder = folder_without(&[]);
        fs::write(folder.path().join(file), "{\"version\": ").unwrap();
        says(&load(&folder), &[file]);
    }
    let folder = folder_without(&[]);
    fs::write(folder.path().join("chat_template.jinja"), "{% for %}").unwrap();
    says(&load(&folder), &["chat template"]);

    let folder = folder_without(&["chat_template.jinja"]);
    let processor = Processor::load(folder.path()).unwrap();
    let error = refusal(processor.prompt(&user(vec![Part::Text("hi".into())])));
    says(
        &error,
        &["train.jsonl:7", "no chat template", "chat_template.jinja"],
    );
}

#[test]
fn truncation_and_padding_of_the_file_do_not_touch_prompts() {
    let folder = folder_without(&[]);
    let path = folder.path().join("tokenizer.json");
    let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    file["truncation"] =
        json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    file["padding"] = json!({
        "strategy": {"Fixed": 64}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "<|endoftext|>",
    });
    fs::write(&path, file.to_string()).unwrap();
    let (cut, plain) = (
        Processor::load(folder.path()).unwrap(),
        Processor::load(&golden()).unwrap(),
    );
    let text = "The picture shows three circles and a red square.";
    assert_eq!(cut.encode(text).unwrap(), plain.encode(text).unwrap());
}

/// The folder that tools/smollm2.py makes (270 MB, not in the repository).
#[test]
fn prompts_of_real_weights_have_the_tokens_of_transformers() {
    let Some(dir) = std::env::var_os("PERCEPT_SMOLLM2").map(PathBuf::from) else {
        eprintln!("skipped: PERCEPT_SMOLLM2 is not set");
        return;
    };
    let processor = Processor::load(&dir).unwrap();
    let golden = fs::read(golden().with_file_name("smollm2_greedy.json")).unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(
            json!(processor.encode(text).unwrap()),
            case["input_ids"],
            "{text}"
        );
        let output: Vec<u32> = serde_json::from_value(case["output_ids"].clone()).unwrap();
        let shown: String = output.iter().map(|&t| processor.token_text(t)).collect();
        let whole = case["output_text"].as_str().unwrap();
        // A character of several tokens shows only in the whole.
        if whole.is_ascii() {
            assert_eq!(shown, whole, "{text}");
        }
        if case["chat"] == true {
            let question = Message::text(Role::User, case["prompt"].as_str().unwrap());
            let prompt = processor
                .prompt(&Sample::new("smollm2", vec![question]))
                .unwrap();
            assert_eq!(prompt.text, text);
            assert_eq!(json!(prompt.tokens), case["input_ids"], "{text}");
        }
    }
    assert!(
        processor
            .eos_ids()
            .contains(&(golden["eos_token_id"].as_u64().unwrap() as u32))
    );
}

/// D7: tokens that only the files beside tokenizer.json declare.
#[test]
fn tokens_declared_beside_tokenizer_json_are_tokens() {
    let plain = Processor::load(&golden()).unwrap();
    let next = plain.vocab_size();
    let text = "x<tool_call>y</tool_call><|note|>z";
    let write = |file: &str, value: &Value| {
        let folder = folder_without(&[file]);
        // The model has rows for them.
        let path = folder.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["text_config"]["vocab_size"] = json!(next + 8);
        fs::write(path, config.to_string()).unwrap();
        fs::write(folder.path().join(file), value.to_string()).unwrap();
        folder
    };
    let config = || -> Value {
        serde_json::from_slice(&fs::read(golden().join("tokenizer_config.json")).unwrap()).unwrap()
    };
    let token = |content: &str, special| json!({"content": content, "special": special, "normalized": false});
    let mut decoder = config();
    decoder["added_tokens_decoder"] = json!({
        (next + 1).to_string(): token("</tool_call>", false),
        next.to_string(): token("<tool_call>", false),
        (next + 2).to_string(): token("<|note|>", true),
    });
    let added = json!({"<|note|>": next + 2, "<tool_call>": next, "</tool_call>": next + 1});
    let mut listed = config();
    listed["additional_special_tokens"] =
        json!(["<tool_call>", token("</tool_call>", true), "<|note|>"]);
    for (file, value, said) in [
        (
            "tokenizer_config.json",
            &decoder,
            "x<tool_call>y</tool_call>z",
        ),
        (
            "added_tokens.json",
            &added,
            "x<tool_call>y</tool_call><|note|>z",
        ),
        ("tokenizer_config.json", &listed, "xyz"),
        (
            "special_tokens_map.json",
            &json!({"additional_special_tokens": ["<tool_call>", "</tool_call>", "<|note|>"]}),
            "xyz",
        ),
    ] {
        let folder = write(file, value);
        let processor = Processor::load(folder.path()).unwrap();
        let tokens = processor.encode(text).unwrap();
        let new: Vec<u32> = tokens
            .iter()
            .copied()
            .filter(|&t| t as usize >= next)
            .collect();
        assert_eq!(
            new,
            [next as u32, next as u32 + 1, next as u32 + 2],
            "{file}"
        );
        assert_eq!(tokens.len(), 6, "{file}: the letters stand alone");
        assert_eq!(processor.decode(&tokens), said, "{file}");
        // They stay tokens when the processor is saved.
        let again = tempfile::tempdir().unwrap();
        fs::copy(
            folder.path().join("config.json"),
            again.path().join("config.json"),
        )
        .unwrap();
        processor.save(again.path()).unwrap();
        let again = Processor::load(again.path()).unwrap();
        assert_eq!(again.encode(text).unwrap(), tokens, "{file}");
    }

    let gap = json!({"<tool_call>": next + 3});
    let error = refusal(Processor::load(write("added_tokens.json", &gap).path()).map(|_| ()));
    says(
        &error,
        &["added_tokens.json", "<tool_call>", "save_pretrained"],
    );
    let error = refusal(
        Processor::load(write("added_tokens.json", &json!({"<a>": "b"})).path()).map(|_| ()),
    );
    says(&error, &["added_tokens.json", "<a>"]);
}

/// Reasoning has letters, answers have digits: what is trained of a masked answer holds no letter, and no tag.
#[test]
fn a_masked_span_leaves_the_tokens_and_takes_the_loss() {
    let think = SpanMarkers {
        from: "<think>".into(),
        to: "</think>".into(),
    };
    let llava = golden().with_file_name("processor_llava");
    for folder in [golden(), llava] {
        let processor = Processor::load(&folder).unwrap();
        for reasoning in [
            "I see",
            "",
            " a cat \n",
            "ein Bär 熊 🐻",
            "a < b",
            "x</thin",
        ] {
            for (between, answer) in [("", "742"), (" ", "742"), ("\n\n", "7 42")] {
                let text = format!("<think>{reasoning}</think>{between}{answer}");
                let mut sample = Sample::new("row", vec![Message::text(Role::User, "How many?")]);
                sample.expert = Some(text.clone());
                let plain = processor.sft(&sample).unwrap();
                let spans = std::slice::from_ref(&think);
                let masked = processor.sft_without(&sample, spans).unwrap();
                assert_eq!(plain.prompt.tokens, masked.prompt.tokens, "{text:?}");
                let pairs = plain.mask.iter().zip(&masked.mask);
                assert!(pairs.clone().all(|(all, some)| *all || !some), "{text:?}");
                let trained = masked.prompt.tokens.iter().zip(&masked.mask);
                let trained: Vec<u32> = trained.filter(|(_, t)| **t).map(|(id, _)| *id).collect();
                let said = processor.decode(&trained);
                assert!(said.trim_end().ends_with("42"), "{text:?}: {said:?}");
                let foreign = |c: char| !(c.is_ascii_digit() || c.is_whitespace());
                assert!(!said.contains(foreign), "{text:?}: {said:?}");
                assert!(processor.missing_spans(&sample, spans).unwrap().is_empty());
            }
        }
        // What is not closed is no span.
        let mut sample = Sample::new("row", vec![Message::text(Role::User, "How many?")]);
        sample.expert = Some("<think>I see 742".into());
        let spans = std::slice::from_ref(&think);
        let (plain, masked) = (
            processor.sft(&sample),
            processor.sft_without(&sample, spans),
        );
        assert_eq!(plain.unwrap().mask, masked.unwrap().mask);
        assert_eq!(processor.missing_spans(&sample, spans).unwrap(), [&think]);
    }
}
