//! LLaVA-1.5's processor against transformers (`tools/llava_processor_goldens.py`), and what it refuses.

#![allow(clippy::unwrap_used)]

#[path = "common/conversation.rs"]
mod conversation;

use std::fs;
use std::path::{Path, PathBuf};

use conversation::{part, picture, role, sample};
use percept_data::{Media, Message, Part, Role, Sample, Video};
use percept_model::Processor;
use serde_json::{Value, json};
use tempfile::TempDir;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/processor_llava")
}

fn cases() -> Vec<Value> {
    serde_json::from_slice(&fs::read(golden().join("cases.json")).unwrap()).unwrap()
}

/// The case with its answer.
fn answered(case: &Value) -> Sample {
    let mut sample = sample(case);
    let content = case["answer"]["content"].as_array().unwrap();
    let content = content.iter().map(|p| part(p, &mut sample)).collect();
    let role = role(case["answer"]["role"].as_str().unwrap());
    sample.messages.push(Message::new(role, content));
    sample
}

/// A folder as the hub's: a file for each part, `<image>` as an added token beside tokenizer.json.
fn hub_folder() -> TempDir {
    let dir = TempDir::new().unwrap();
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(golden().join(name)).unwrap()).unwrap()
    };
    for name in ["config.json", "tokenizer_config.json"] {
        fs::copy(golden().join(name), dir.path().join(name)).unwrap();
    }
    let put = |name: &str, value: &Value| {
        fs::write(dir.path().join(name), value.to_string()).unwrap();
    };
    let mut processor = read("processor_config.json");
    put(
        "preprocessor_config.json",
        &processor["image_processor"].take(),
    );
    processor.as_object_mut().unwrap().remove("image_processor");
    put("processor_config.json", &processor);
    let template = fs::read_to_string(golden().join("chat_template.jinja")).unwrap();
    put("chat_template.json", &json!({ "chat_template": template }));
    let mut tokenizer = read("tokenizer.json");
    let added = tokenizer["added_tokens"].as_array_mut().unwrap();
    let late = added.split_off(3);
    let late = late.iter().map(|token| {
        let content = token["content"].as_str().unwrap().to_owned();
        (content, token["id"].clone())
    });
    put(
        "added_tokens.json",
        &late.collect::<serde_json::Map<_, _>>().into(),
    );
    put(
        "special_tokens_map.json",
        &json!({"additional_special_tokens": ["<image>"], "pad_token": "<pad>"}),
    );
    put("tokenizer.json", &tokenizer);
    dir
}

fn edit(dir: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = dir.join(file);
    let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

fn refusal(dir: &Path) -> String {
    match Processor::load(dir) {
        Ok(_) => panic!("was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn prompts_and_answers_equal_those_of_transformers() {
    let hub = hub_folder();
    let saved = TempDir::new().unwrap();
    fs::copy(
        golden().join("config.json"),
        saved.path().join("config.json"),
    )
    .unwrap();
    Processor::load(&golden())
        .unwrap()
        .save(saved.path())
        .unwrap();
    for folder in [golden().as_path(), hub.path(), saved.path()] {
        let processor = Processor::load(folder).unwrap();
        let image = processor.vision_tokens().unwrap().image;
        assert_eq!(processor.banned_ids(), [image]);
        for case in cases() {
            let sample = sample(&case);
            let name = &sample.id;
            let prompt = processor.prompt(&sample).unwrap();
            assert_eq!(prompt.text, case["text"].as_str().unwrap(), "{name}");
            assert_eq!(json!(prompt.tokens), case["tokens"], "{name}");
            let decoded = case["decoded"].as_str().unwrap();
            assert_eq!(processor.decode(&prompt.tokens), decoded, "{name}");
            // One behind the other, whatever they are.
            let n = prompt.tokens.len() as u32;
            let plain: Vec<[u32; 3]> = (0..n).map(|p| [p; 3]).collect();
            assert_eq!(
                (prompt.positions, prompt.next_position),
                (plain, n),
                "{name}"
            );
            let places = (0..n).filter(|&row| prompt.tokens[row as usize] == image);
            assert_eq!(prompt.vision_index, places.collect::<Vec<_>>(), "{name}");
            assert_eq!(
                prompt.vision_index.len(),
                16 * sample.images.len(),
                "{name}"
            );
            assert!(prompt.vision.iter().all(|p| p.grid_thw == [1, 4, 4]));

            let training = processor.sft(&answered(&case)).unwrap();
            let text = case["answered_text"].as_str().unwrap();
            assert_eq!(training.prompt.text, text, "{name}");
            let tokens = &training.prompt.tokens;
            assert_eq!(json!(tokens), case["answered_tokens"], "{name}");
            assert_eq!(tokens[..prompt.tokens.len()], prompt.tokens, "{name}");
            let mut last = training.mask.clone();
            let answer = last.split_off(prompt.tokens.len());
            assert!(answer.iter().all(|trained| *trained), "{name}");
            // And what the assistant said before.
            let before = sample.messages.iter().filter(|m| m.role == Role::Assistant);
            assert_eq!(last.contains(&true), before.count() > 0, "{name}");
        }
    }
}

/// Text alone is given to LLaVA's template as parts, for it passes over strings.
#[test]
fn a_question_of_text_alone_is_asked() {
    let processor = Processor::load(&golden()).unwrap();
    let sample = Sample::new("t", vec![Message::text(Role::User, "a dog?")]);
    let prompt = processor.prompt(&sample).unwrap();
    assert_eq!(prompt.text, "USER: a dog? ASSISTANT:");
}

#[test]
fn what_does_not_fit_the_tower_is_refused_by_file_and_field() {
    let change = |file: &str, path: &str, value: Value, words: &[&str]| {
        let dir = hub_folder();
        edit(dir.path(), file, |json| {
            let mut at = json;
            for key in path.split('.') {
                at = &mut at[key];
            }
            *at = value;
        });
        let error = refusal(dir.path());
        for word in words.iter().chain([&file]) {
            assert!(
                error.contains(word),
                "{file} {path}: no {word:?} in {error}"
            );
        }
    };
    let (own, images) = ("processor_config.json", "preprocessor_config.json");
    change(own, "patch_size", json!(7), &["patch_size", "7", "14"]);
    change(
        own,
        "patch_size",
        json!("14"),
        &["patch_size", "whole number"],
    );
    let additional = "num_additional_image_tokens";
    change(own, additional, json!(0), &[additional, "15", "16"]);
    change(own, additional, Value::Null, &[additional, "15", "16"]);
    change(own, additional, json!(2), &[additional, "17", "16"]);
    let strategy = "vision_feature_select_strategy";
    change(own, strategy, json!("full"), &[strategy, "17", "16"]);
    change(
        images,
        "crop_size",
        json!({"height": 56, "width": 42}),
        &["56 × 56", "42 × 56"],
    );
    // CLIPImageProcessor's class defaults are 224 pixels.
    change(images, "crop_size", Value::Null, &["crop_size", "224"]);
    change(
        images,
        "do_center_crop",
        json!(false),
        &["do_center_crop", "several sizes"],
    );
    change(
        images,
        "image_processor_type",
        json!("SiglipImageProcessor"),
        &["CLIPImageProcessor"],
    );
    change(
        "config.json",
        "vision_config.image_size",
        json!(70),
        &["image_seq_length", "25"],
    );

    let dir = hub_folder();
    edit(dir.path(), "config.json", |json| {
        json["image_token_index"] = json!(3)
    });
    let error = refusal(dir.path());
    assert!(
        error.contains("\"<image>\" is token") && error.contains("is 3"),
        "{error}"
    );

    let dir = hub_folder();
    fs::remove_file(dir.path().join(images)).unwrap();
    assert!(refusal(dir.path()).contains("preprocessor_config.json: missing"));
    // Folders from before processor_config.json told the number of placeholders.
    let dir = hub_folder();
    fs::remove_file(dir.path().join(own)).unwrap();
    let case = &cases()[2];
    let prompt = Processor::load(dir.path()).unwrap().prompt(&sample(case));
    assert_eq!(json!(prompt.unwrap().tokens), case["tokens"]);
}

#[test]
fn samples_that_the_model_cannot_read_are_refused() {
    let mut processor = Processor::load(&golden()).unwrap();
    let user = |content: Vec<Part>| Sample::new("row 7", vec![Message::new(Role::User, content)]);
    let mut video = user(vec![Part::Video(0)]);
    let frames = vec![Media::from_image(picture(8, 8, 0))];
    video.videos.push(Video { frames, fps: 1.0 });
    let error = processor.prompt(&video).unwrap_err().to_string();
    assert!(error.contains("not videos"), "{error}");
    // More placeholders than pictures, and a picture that no placeholder shows.
    let literal = user(vec![Part::Text("<image> what?".into())]);
    let error = processor.prompt(&literal).unwrap_err().to_string();
    assert!(
        error.contains("row 7") && error.contains("more placeholders"),
        "{error}"
    );
    let missing = user(vec![Part::Image(0), Part::Text("what?".into())]);
    let error = processor.prompt(&missing).unwrap_err().to_string();
    assert!(error.contains("row 7, images"), "{error}");
    let mut answers = user(vec![Part::Text("draw".into())]);
    answers.images.push(Media::from_image(picture(8, 8, 0)));
    answers
        .messages
        .push(Message::new(Role::System, vec![Part::Image(0)]));
    assert!(processor.prompt(&answers).is_ok(), "the template writes it");

    let error = processor.set_pixel_limits(None, Some(1000)).unwrap_err();
    assert!(error.to_string().contains("max_pixels") && error.to_string().contains("56 × 56"));
    assert!(processor.set_pixel_limits(None, None).is_ok());
}

/// The hub's template writes none; one that does teaches it.
#[test]
fn answers_end_where_the_template_ends_them() {
    assert_eq!(
        Processor::load(&golden()).unwrap().ends_answers(),
        Some(false)
    );
    let dir = hub_folder();
    edit(dir.path(), "chat_template.json", |json| {
        let source = json["chat_template"].as_str().unwrap();
        let ends = "{{ content['text'] + eos_token }}{% endgeneration %}";
        let source = source.replace("{{ content['text'] + ' '}}{% endgeneration %}", ends);
        json["chat_template"] = source.into();
    });
    let processor = Processor::load(dir.path()).unwrap();
    assert_eq!(processor.ends_answers(), Some(true));
    let training = processor.sft(&answered(&cases()[2])).unwrap();
    let last = training.prompt.tokens.len() - 1;
    assert_eq!(training.prompt.tokens[last], processor.eos_ids()[0]);
    assert!(training.mask[last]);
}

/// ms-swift's boxes: thousandths in brackets, as for every model without tokens of its own for them.
#[test]
fn boxes_are_thousandths() {
    let processor = Processor::load(&golden()).unwrap();
    assert_eq!(processor.box_size(200, 100).unwrap(), None);
}
