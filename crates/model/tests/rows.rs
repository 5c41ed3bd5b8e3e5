//! What a row gives besides its turns' text: tools, calls, thoughts, objects (faults D5, E1).

#![allow(clippy::unwrap_used)]

use std::path::Path;

use image::RgbImage;
use percept_data::{BoxFormat, ColumnMap, Dataset, FileDataset, Media, Sample};
use percept_model::Processor;
use serde_json::{Value, json};

/// The golden processor with another chat template.
fn processor(template: &str) -> Processor {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(here.join("tests/golden/processor")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let source = here.join("../data/tests/golden/chat").join(template);
    std::fs::copy(source, folder.path().join("chat_template.jinja")).unwrap();
    Processor::load(folder.path()).unwrap()
}

fn read(row: Value) -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    std::fs::write(&path, row.to_string()).unwrap();
    RgbImage::new(200, 100)
        .save(folder.path().join("a.png"))
        .unwrap();
    let data = FileDataset::open(&[path], &ColumnMap::default(), None).unwrap();
    let mut sample = data.get(0).unwrap();
    for image in &mut sample.images {
        *image = Media::from_image(image.decode().unwrap());
    }
    sample
}

/// The text that carries a loss.
fn trained(processor: &Processor, sample: &Sample) -> String {
    let training = processor.sft(sample).unwrap();
    let tokens = training.prompt.tokens.iter().zip(&training.mask);
    let tokens = tokens.filter(|(_, trained)| **trained);
    tokens
        .map(|(&token, _)| processor.token_text(token))
        .collect()
}

fn clock() -> Value {
    let call = json!({"type": "function", "function": {"name": "zoom", "arguments": {"x": 1}}});
    json!({
        "messages": [
            {"role": "user", "content": "How late?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "ten"},
            {"role": "assistant", "content": "Ten."},
        ],
        "tools": [{"type": "function", "function": {"name": "zoom", "parameters": {}}}],
    })
}

#[test]
fn supervised_training_learns_a_whole_tool_call() {
    for template in ["qwen2_5.jinja", "qwen3.jinja"] {
        let processor = processor(template);
        let sample = read(clock());
        let text = trained(&processor, &sample);
        assert!(
            text.contains("<tool_call>")
                && text.contains("\"name\": \"zoom\"")
                && text.contains("\"x\": 1"),
            "{template}: {text:?}"
        );
        assert!(text.ends_with("Ten.<|im_end|>"), "{template}: {text:?}");
        assert!(!text.contains("tool_response"), "{template}: {text:?}");
        let prompt = processor.prompt(&sample).unwrap().text;
        assert!(prompt.contains("# Tools"), "{template}: {prompt}");
        assert_eq!(processor.unread(&sample), [""; 0], "{template}");
    }
}

/// A turn of a trajectory in `completion` is trained like one in `messages`.
#[test]
fn a_trajectory_is_trained_as_the_same_turns_in_a_conversation() {
    let processor = processor("qwen2_5.jinja");
    let mut row = clock();
    let turns = row["messages"].as_array().unwrap().clone();
    let whole = trained(&processor, &read(row.clone()));
    row["messages"] = turns[..1].into();
    row["completion"] = turns[1..].into();
    assert_eq!(trained(&processor, &read(row)), whole);
}

/// A pair of ms-swift's trains what it did before it was read as one; a column `chosen` has to be named, as TRL's
/// SFTTrainer does not take it either.
#[test]
fn supervised_training_on_pairs() {
    let processor = processor("qwen2_5.jinja");
    let mut row = clock();
    let whole = trained(&processor, &read(row.clone()));
    row["rejected_response"] = "It is noon.".into();
    let pair = read(row);
    assert!(pair.preference.is_some());
    assert_eq!(trained(&processor, &pair), whole);
    let trl = read(json!({"prompt": "Hi", "chosen": "A", "rejected": "B"}));
    let error = processor.sft(&trl).unwrap_err().to_string();
    assert!(
        error.contains("is a preference pair") && error.contains("data.columns.expert"),
        "{error}"
    );
    let mut rejected = json!([{"role": "assistant", "content": "B", "reasoning_content": "hm"}]);
    let row = |rejected: &Value| read(json!({"prompt": "Hi", "chosen": "A", "rejected": rejected}));
    let unread = processor.unread(&row(&rejected));
    assert!(unread[0].contains("reasoning_content"), "{unread:?}");
    rejected[0]
        .as_object_mut()
        .unwrap()
        .shift_remove("reasoning_content");
    assert!(processor.unread(&row(&rejected)).is_empty());
}

#[test]
fn named_values_of_the_recipe_and_of_the_row_reach_the_template() {
    let mut processor = processor("qwen3.jinja");
    let row = |kwargs: Value| read(json!({"prompt": "Hi", "chat_template_kwargs": kwargs}));
    let thinks = |processor: &Processor, kwargs: Value| {
        !processor
            .prompt(&row(kwargs))
            .unwrap()
            .text
            .contains("</think>")
    };
    assert!(thinks(&processor, json!({})));
    assert!(!thinks(&processor, json!({"enable_thinking": false})));
    let off = json!({"enable_thinking": false});
    processor.set_chat_template_kwargs(off.as_object().unwrap().clone());
    assert!(!thinks(&processor, json!({})));
    assert!(thinks(&processor, json!({"enable_thinking": true})));
}

#[test]
fn what_the_template_does_not_write_is_named() {
    let processor = processor("smollm2.jinja");
    let mut row = clock();
    row["chat_template_kwargs"] = json!({"enable_thinking": false});
    row["messages"][3]["reasoning_content"] = "hm".into();
    row["messages"][1]["content"] = "Look.".into();
    let unread = processor.unread(&read(row));
    assert_eq!(unread.len(), 4, "{unread:?}");
    for name in [
        "tool_calls",
        "reasoning_content",
        "tools",
        "enable_thinking",
    ] {
        assert!(
            unread.iter().any(|line| line.contains(name)),
            "{name}: {unread:?}"
        );
    }
}

/// E1: pixels of the resized picture for Qwen2.5-VL; the picture of 200 × 100 becomes 112 × 56 within the folder's limits.
#[test]
fn boxes_are_in_the_pixels_that_qwen_2_5_sees() {
    let mut processor = processor("qwen2_5_vl.jinja");
    let sample = read(json!({
        "messages": [
            {"role": "user", "content": "<image>Find <ref-object>."},
            {"role": "assistant", "content": "<bbox>"},
        ],
        "images": ["a.png"], "objects": {"ref": ["the dog"], "bbox": [[20, 10, 100, 50]]},
    }));
    let (width, height) = processor.box_size(200, 100).unwrap().unwrap();
    assert_eq!((width, height), (112, 56));
    let at = |x: f64, y: f64| {
        let part =
            |value: f64, from: f64, to: usize| (value / from * to as f64).round_ties_even() as i64;
        (part(x, 200.0, width), part(y, 100.0, height))
    };
    let ((x1, y1), (x2, y2)) = (at(20.0, 10.0), at(100.0, 50.0));
    let text = processor.sft(&sample).unwrap().prompt.text;
    assert!(
        text.contains("Find <|object_ref_start|>the dog<|object_ref_end|>."),
        "{text}"
    );
    assert!(
        text.contains(&format!("<|box_start|>({x1},{y1}),({x2},{y2})<|box_end|>")),
        "{text}"
    );
    processor.set_box_format(Some(BoxFormat::Json));
    let text = processor.sft(&sample).unwrap().prompt.text;
    assert!(
        text.contains("Find the dog.") && text.contains(&format!("[{x1}, {y1}, {x2}, {y2}]")),
        "{text}"
    );
}
