//! What rows of the field say reaches the sample, and what does not is counted (faults E1–E7, D5).

#![allow(clippy::unwrap_used)]

mod pictures;

use percept_data::{
    BboxType, BoxFormat, Checks, ColumnMap, Dataset, Error, FileDataset, Message, Part, Role,
    Sample, Unread, check_rows,
};
use pictures::Folder;
use serde_json::{Value, json};

fn read(row: &Value) -> Result<Sample, Error> {
    let folder = Folder::new();
    let path = folder.file("x.jsonl", row.to_string());
    let mut sample = FileDataset::open(&[path], &ColumnMap::default(), None)?.get(0)?;
    // The folder goes: keep the pixels.
    for image in &mut sample.images {
        *image = percept_data::Media::from_image(image.decode()?);
    }
    Ok(sample)
}

fn one(row: Value) -> Sample {
    read(&row).unwrap_or_else(|error| panic!("{row}: {error}"))
}

/// The turns as text; a picture is its width in angle brackets.
fn outline(sample: &Sample) -> Vec<String> {
    let turn = |message: &Message| {
        let parts = message.content.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Image(at) => format!("⟨{}⟩", sample.images[*at].dimensions().unwrap().0),
            Part::Video(at) => format!("⟨video {at}⟩"),
        });
        format!("{}: {}", message.role, parts.collect::<String>())
    };
    sample.messages.iter().map(turn).collect()
}

fn filled(sample: &Sample, format: BoxFormat, target: f64) -> Vec<String> {
    let mut sample = sample.clone();
    let objects = sample.objects.clone().unwrap();
    let scale = |_: usize| Ok(Some([(200.0, 100.0), (target, target)]));
    objects.fill(&mut sample.messages, format, &scale).unwrap();
    outline(&sample)
}

/// E1. Expected texts: ms-swift 4.6, `Template.normalize_bbox` and `Qwen2VLTemplate.replace_bbox`.
#[test]
fn objects_fill_their_placeholders_as_ms_swift_does() {
    let row = |objects: Value| {
        json!({"messages": [
            {"role": "user", "content": "<image>Find <ref-object> and <ref-object>"},
            {"role": "assistant", "content": "<bbox>, <bbox>"},
        ], "images": ["a.png"], "objects": objects})
    };
    let sample = one(row(
        json!({"ref": ["dog", "cat"], "bbox": [[150, 30, 10, 50], [100, 50]]}),
    ));
    assert_eq!(
        filled(&sample, BoxFormat::Tokens, 1000.0),
        [
            "user: ⟨3⟩Find <|object_ref_start|>dog<|object_ref_end|> and <|object_ref_start|>cat<|object_ref_end|>",
            // Corners in order; 10/200, 30/100, 150/200, 50/100 of 1000.
            "assistant: <|box_start|>(50,300),(750,500)<|box_end|>, <|box_start|>(500,500)<|box_end|>",
        ]
    );
    assert_eq!(
        filled(&sample, BoxFormat::Json, 1000.0)[1],
        "assistant: [50, 300, 750, 500], [500, 500]"
    );
    assert_eq!(
        filled(&sample, BoxFormat::Plain, 1000.0)[1],
        "assistant: [(50,300),(750,500)], [(500,500)]"
    );
    let norm1 = one(row(
        json!({"ref": ["dog", "cat"], "bbox": [[0.05, 0.3, 0.75, 0.5], [0.0025, 0.0035]], "bbox_type": "norm1"}),
    ));
    assert_eq!(norm1.objects.as_ref().unwrap().bbox_type, BboxType::Norm1);
    // Python's round: 2.5 to 2, 3.5 to 4.
    assert_eq!(
        filled(&norm1, BoxFormat::Json, 1000.0)[1],
        "assistant: [50, 300, 750, 500], [2, 4]"
    );
    assert!(sample.unread.is_empty(), "{:?}", sample.unread);

    let fewer = one(row(json!({"ref": ["dog", "cat"], "bbox": [[1, 2, 3, 4]]})));
    let mut messages = fewer.messages.clone();
    let error = fewer
        .objects
        .unwrap()
        .fill(&mut messages, BoxFormat::Json, &|_| Ok(None))
        .unwrap_err();
    assert!(error.to_string().contains("more <bbox>"), "{error}");
    let more = one(row(
        json!({"ref": ["dog", "cat", "cow"], "bbox": [[1, 2, 3, 4], [1, 2]]}),
    ));
    assert_eq!(
        more.unread,
        ["entries of objects.ref without a <ref-object>"]
    );
    let none = one(json!({"prompt": "Where is <ref-object>?"}));
    assert_eq!(none.unread, ["tag <ref-object>"]);
    for bad in [
        json!({"bbox": [[1, 2, 3]]}),
        json!({"ref": [1]}),
        json!({"bbox": [[1, 2]], "bbox_type": "cm"}),
        json!([1]),
    ] {
        assert!(read(&row(bad)).unwrap_err().to_string().contains("objects"));
    }
}

/// E1
#[test]
fn history_is_the_rounds_before_the_question() {
    for history in [
        json!([["<image>Hi", "Ho"], ["And?", null]]),
        json!("[['<image>Hi', 'Ho'], ['And?', None]]"),
    ] {
        let sample = one(
            json!({"query": "Now?", "response": "Yes", "history": history, "system": "S", "images": ["a.png"]}),
        );
        assert_eq!(
            outline(&sample),
            [
                "system: S",
                "user: ⟨3⟩Hi",
                "assistant: Ho",
                "user: And?",
                "user: Now?"
            ]
        );
        assert!(sample.meta.is_empty() && sample.expert.as_deref() == Some("Yes"));
    }
    let error = read(&json!({"query": "Now?", "history": [["a"]]})).unwrap_err();
    assert!(error.to_string().contains("history"), "{error}");
}

/// E2
#[test]
fn a_tag_inside_a_text_part_is_a_picture_and_no_picture_is_shown_twice() {
    let row = |content: Value, images: Value| {
        let mut row = json!({"messages": [{"role": "user", "content": content}]});
        if !images.is_null() {
            row["images"] = images;
        }
        row
    };
    let text = |text: &str| json!({"type": "text", "text": text});
    let image = json!({"type": "image"});
    let own = json!({"type": "image", "image": "a.png"});
    for (content, images, expected) in [
        // The tag is the picture's place.
        (
            json!([text("See <image> here")]),
            json!(["a.png"]),
            "user: See ⟨3⟩ here",
        ),
        (
            json!([text("<image>"), text("or <image>?")]),
            json!(["a.png", "b.png"]),
            "user: ⟨3⟩or ⟨4⟩?",
        ),
        (
            json!([image, text("and <image>")]),
            json!(["a.png", "b.png"]),
            "user: ⟨3⟩and ⟨4⟩",
        ),
        // The tag repeats the part.
        (
            json!([image, text("<image>What?")]),
            json!(["a.png"]),
            "user: ⟨3⟩What?",
        ),
        (
            json!([own, text("<image>What?")]),
            Value::Null,
            "user: ⟨3⟩What?",
        ),
        (
            json!([own, text("<image>What?")]),
            json!(["a.png"]),
            "user: ⟨3⟩What?",
        ),
        // The column repeats what the turn carries.
        (
            json!([own, text("What?")]),
            json!(["a.png"]),
            "user: ⟨3⟩What?",
        ),
        (
            json!([own, text("What?")]),
            json!("a.png"),
            "user: ⟨3⟩What?",
        ),
        // Another picture is not a repetition.
        (
            json!([own, text("What?")]),
            json!(["b.png"]),
            "user: ⟨4⟩⟨3⟩What?",
        ),
        (
            json!([own, image, text("What?")]),
            json!(["a.png"]),
            "user: ⟨3⟩⟨3⟩What?",
        ),
        // A tag without a picture stays text where others have theirs.
        (
            json!([own, image, text("<image> is a tag")]),
            json!(["b.png"]),
            "user: ⟨3⟩⟨4⟩<image> is a tag",
        ),
    ] {
        let sample = one(row(content.clone(), images.clone()));
        assert_eq!(outline(&sample), [expected], "{content} {images}");
        let said = expected.contains("<image>") || content.to_string().contains("<image>What");
        assert_eq!(!sample.unread.is_empty(), said, "{:?}", sample.unread);
    }
    for images in [Value::Null, json!(["a.png", "b.png"])] {
        let error = read(&row(json!([text("<image>")]), images)).unwrap_err();
        assert!(error.to_string().contains("marks differ"), "{error}");
    }
}

/// E3
#[test]
fn numbered_images_stand_where_the_question_names_them() {
    let row = json!({
        "question": "Is <image 2> left of <image 1>? See <image 2>.", "answer": "yes",
        "image_1": "a.png", "image_2": {"path": "b.png", "bytes": null}, "image_3": null, "image_4": "c.png",
    });
    let sample = one(row);
    // A picture that no turn names stands first.
    assert_eq!(outline(&sample), ["user: ⟨5⟩Is ⟨4⟩ left of ⟨3⟩? See ⟨4⟩."]);
    assert!(sample.meta.is_empty() && sample.unread.is_empty());
    let missing = one(json!({"question": "Is <image 1> red?"}));
    assert_eq!(missing.unread, ["tag <image N> without a column image_N"]);
}

/// E4
#[test]
fn a_conversation_written_into_a_text_is_read_as_one() {
    let json =
        r#"[{"role": "system", "content": "S"}, {"role": "user", "content": "<image>Find x."}]"#;
    let python =
        r"[{'role': 'system', 'content': 'S'}, {'role': 'user', 'content': '<image>Find x.'}]";
    for prompt in [json, python] {
        let sample = one(
            json!({"prompt": prompt, "images": "['a.png']", "reward_model": "{\"ground_truth\": \"5\"}"}),
        );
        assert_eq!(outline(&sample), ["system: S", "user: ⟨3⟩Find x."]);
        assert_eq!(sample.answer.as_deref(), Some("5"));
    }
    for text in [
        "[1, 2] + [3] = ?",
        r#"What is {"role": 1}?"#,
        "[]",
        r#"{"a": "b", "c": 1}"#,
    ] {
        assert_eq!(
            outline(&one(json!({"prompt": text}))),
            [format!("user: {text}")]
        );
    }
}

/// E7
#[test]
fn roles_in_the_words_and_cases_of_the_field() {
    for (name, role) in [
        ("User", Role::User),
        ("HUMAN", Role::User),
        ("Assistant", Role::Assistant),
        ("gpt", Role::Assistant),
        ("System", Role::System),
        ("developer", Role::System),
        ("tool", Role::Tool),
        ("Tool", Role::Tool),
        ("tool_response", Role::Tool),
        ("observation", Role::Tool),
        ("function-response", Role::Tool),
        ("ipython", Role::Tool),
    ] {
        let sample = one(json!({"messages": [{"role": name, "content": "x"}]}));
        assert_eq!(sample.messages[0].role, role, "{name}");
    }
}

/// E7
#[test]
fn a_row_without_a_picture_is_a_row_of_text() {
    for nothing in [
        json!(null),
        json!(""),
        json!([]),
        json!([null]),
        json!([""]),
        json!({"bytes": null, "path": null}),
        json!([{"bytes": null, "path": ""}]),
    ] {
        for column in ["image", "images", "video"] {
            let sample = one(json!({"prompt": "Hi", column: nothing}));
            assert_eq!(outline(&sample), ["user: Hi"], "{column} {nothing}");
        }
        // A tag says that there should be one.
        assert!(read(&json!({"prompt": "<image>Hi", "image": nothing})).is_err());
    }
}

/// E7
#[test]
fn base64_is_read_as_the_tools_of_the_field_write_it() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    let mut png = Vec::new();
    let image = image::RgbImage::from_fn(40, 40, |x, y| {
        image::Rgb([(x * 7) as u8, (y * 31) as u8, (x * y) as u8])
    });
    image
        .write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png)
        .unwrap();
    let text = STANDARD.encode(&png);
    let lines = |end: &str| {
        let lines = text
            .as_bytes()
            .chunks(76)
            .map(|line| std::str::from_utf8(line).unwrap());
        lines.collect::<Vec<_>>().join(end)
    };
    for written in [
        lines("\n"),
        lines("\r\n"),
        format!("  {text}\n"),
        URL_SAFE.encode(&png),
        text.trim_end_matches('=').to_owned(),
        format!("data:image/png;base64,{}", lines("\n")),
        format!("data:image/png;charset=utf-8;base64,{text}"),
        format!("data:;base64,{text}"),
        format!(
            "data:image/png;base64,{}",
            text.replace('+', "%2B").replace('/', "%2F")
        ),
    ] {
        let sample = one(json!({"prompt": "Hi", "image": written}));
        assert_eq!(
            sample.images[0].dimensions().unwrap(),
            (40, 40),
            "{}",
            &written[..40]
        );
    }
}

/// E7
#[test]
fn integers_beyond_64_bits_keep_their_digits() {
    let folder = Folder::new();
    let rows = "{\"prompt\": \"2^80?\", \"answer\": 1208925819614629174706176}\n{\"prompt\": \"-?\", \"answer\": -18446744073709551616}";
    let data =
        FileDataset::open(&[folder.file("x.jsonl", rows)], &ColumnMap::default(), None).unwrap();
    assert_eq!(
        data.get(0).unwrap().answer.as_deref(),
        Some("1208925819614629174706176")
    );
    assert_eq!(
        data.get(1).unwrap().answer.as_deref(),
        Some("-18446744073709551616")
    );
}

/// D5
#[test]
fn tools_calls_thoughts_and_named_values_are_kept_for_the_template() {
    let tools = json!([{"type": "function", "function": {"name": "zoom", "parameters": {"type": "object"}}}]);
    let call = json!([{"id": "1", "type": "function", "function": {"name": "zoom", "arguments": {"x": 1}}}]);
    for written in [
        tools.clone(),
        json!(tools.to_string()),
        json!([tools[0].to_string()]),
    ] {
        let sample = one(json!({"messages": [
            {"role": "user", "content": "Look"},
            {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": call},
            {"role": "tool", "content": {"seen": "a dog"}, "tool_call_id": "1", "name": "zoom"},
            {"role": "assistant", "content": "A dog.", "weight": 0},
        ], "tools": written, "chat_template_kwargs": {"enable_thinking": false}}));
        assert_eq!(sample.template.tools.as_ref().unwrap(), &tools);
        assert_eq!(sample.template.kwargs["enable_thinking"], false);
        let turns = &sample.messages;
        assert!(turns[1].content.is_empty());
        assert_eq!(
            Value::Object(turns[1].fields.clone()),
            json!({"reasoning_content": "hm", "tool_calls": call})
        );
        assert_eq!(turns[2].plain_text(), "{\"seen\": \"a dog\"}");
        assert_eq!(turns[2].fields["tool_call_id"], "1");
        assert_eq!(turns[3].train, Some(false));
        assert!(sample.meta.is_empty() && sample.unread.is_empty());
    }
    assert_eq!(
        one(json!({"prompt": "Hi", "tools": []})).template.tools,
        None
    );
    let error = read(&json!({"prompt": "Hi", "chat_template_kwargs": [1]})).unwrap_err();
    assert!(
        error.to_string().contains("chat_template_kwargs"),
        "{error}"
    );
}

/// D5, E7
#[test]
fn a_turn_that_is_a_tool_call_is_one_of_the_assistant() {
    let call = |x: u8| json!({"role": "tool_call", "content": format!("{{\"name\": \"zoom\", \"arguments\": {{\"x\": {x}}}}}")});
    let sample = one(json!({"conversations": [
        {"from": "human", "value": "Look"}, call(1), call(2),
        {"from": "observation", "value": "dog"}, {"from": "gpt", "value": "A dog."},
    ]}));
    let called =
        |x: u8| json!({"type": "function", "function": {"name": "zoom", "arguments": {"x": x}}});
    assert_eq!(sample.messages.len(), 4);
    assert_eq!(sample.messages[1].role, Role::Assistant);
    assert_eq!(
        sample.messages[1].fields["tool_calls"],
        json!([called(1), called(2)])
    );
    let error = read(&json!({"messages": [{"role": "tool_call", "content": "look"}]})).unwrap_err();
    assert!(error.to_string().contains("not a tool call"), "{error}");
}

/// D5: a completion of several turns is more than its last text.
#[test]
fn a_trajectory_keeps_its_turns() {
    let sample = one(
        json!({"prompt": [{"role": "user", "content": "Look"}], "completion": [
            {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "zoom", "arguments": {}}}]},
            {"role": "tool", "content": "dog"}, {"role": "assistant", "content": "A dog."},
        ]}),
    );
    assert_eq!(
        (sample.trajectory.len(), sample.expert.as_deref()),
        (3, Some("A dog."))
    );
    let plain =
        one(json!({"prompt": "Hi", "completion": [{"role": "assistant", "content": "Ho"}]}));
    assert_eq!(
        (plain.trajectory.len(), plain.expert.as_deref()),
        (0, Some("Ho"))
    );
}

/// The principle of section E.
#[test]
fn what_nothing_uses_is_counted_once_by_column_field_and_tag() {
    let folder = Folder::new();
    let rows = [
        json!({"id": "a", "prompt": "Hi <audio>", "answer": "1", "level": 3, "source": "x", "hint": null}),
        json!({"id": "b", "messages": [{"role": "user", "content": [{"type": "text", "text": "Ho"}, {"type": "image", "image": "a.png", "max_pixels": 9}]}], "level": 1}),
    ];
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    let data = FileDataset::open(
        &[folder.file("x.jsonl", lines.join("\n"))],
        &ColumnMap::default(),
        None,
    )
    .unwrap();
    let checks = Checks {
        used: &|column| column == "source",
        unread: &|sample| {
            if sample.id == "b" {
                vec!["something".to_owned()]
            } else {
                Vec::new()
            }
        },
        target: &|sample| {
            if sample.id == "b" {
                Err("nothing to learn".to_owned())
            } else {
                Ok(())
            }
        },
        ..Checks::default()
    };
    let report = check_rows(&data, &checks, &mut |_, _| {});
    assert_eq!(
        report.unread.lines(),
        [
            "column level (all 2 rows)",
            "field max_pixels of a content part (1 of 2 rows, first b)",
            "something (1 of 2 rows, first b)",
            "tag <audio> (1 of 2 rows, first a)",
        ]
    );
    // E5
    assert_eq!(report.problems.len(), 1);
    assert_eq!(
        (report.problems[0].kind.name(), report.is_clean()),
        ("target", false)
    );
    assert!(Unread::default().is_empty());
    let pair = one(json!({"prompt": "?", "chosen": "A", "rejected": "B"}));
    let mut unread = Unread::default();
    unread.add(&pair, &|column| column == "rejected", Vec::new());
    assert!(unread.is_empty());
    unread.add(&pair, &|_| false, Vec::new());
    assert!(unread.lines()[0].starts_with("rejected answers and pictures"));
}

/// E7
#[test]
fn tables_and_packed_files_hold_the_rows_of_the_plain_file() {
    use std::io::Write;
    let folder = Folder::new();
    let csv = "\u{feff}id,question,image,answer,note\r\na,\"Is it, \"\"red\"\"?\nLook.\",a.png,12,\r\n\r\nb,No picture,,1208925819614629174706176,x\r\n";
    let gz = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let jsonl: Vec<String> = [
        json!({"id": "a", "question": "Is it, \"red\"?\nLook.", "image": "a.png", "answer": "12"}),
        json!({"id": "b", "question": "No picture", "answer": "1208925819614629174706176", "note": "x"}),
    ]
    .iter()
    .map(Value::to_string)
    .collect();
    let jsonl = jsonl.join("\n");
    let tsv = csv
        .replace("Is it, ", "Is it; ")
        .replace(',', "\t")
        .replace("Is it; ", "Is it, ");
    for (name, bytes) in [
        ("x.csv", csv.as_bytes().to_vec()),
        ("x.tsv", tsv.into_bytes()),
        ("x.csv.gz", gz(csv.as_bytes())),
        ("x.jsonl", jsonl.clone().into_bytes()),
        ("x.jsonl.gz", gz(jsonl.as_bytes())),
        (
            "x.jsonl.zst",
            zstd::encode_all(jsonl.as_bytes(), 3).unwrap(),
        ),
        (
            "x.json.gz",
            gz(format!("[{}]", jsonl.replace('\n', ",")).as_bytes()),
        ),
    ] {
        let data =
            FileDataset::open(&[folder.file(name, bytes)], &ColumnMap::default(), None).unwrap();
        assert_eq!(data.len(), 2, "{name}");
        let (a, b) = (data.get(0).unwrap(), data.get(1).unwrap());
        assert_eq!(outline(&a), ["user: ⟨3⟩Is it, \"red\"?\nLook."], "{name}");
        assert_eq!(
            (a.id.as_str(), a.answer.as_deref(), a.meta.len()),
            ("a", Some("12"), 0),
            "{name}"
        );
        assert_eq!(outline(&b), ["user: No picture"], "{name}");
        assert_eq!(
            b.answer.as_deref(),
            Some("1208925819614629174706176"),
            "{name}"
        );
        assert_eq!(b.meta["note"], "x", "{name}");
    }
    let wide = folder.file("y.csv", "prompt,answer\nHi,1,2\n");
    let error = FileDataset::open(&[wide], &ColumnMap::default(), None)
        .unwrap()
        .get(0)
        .unwrap_err();
    assert!(
        error.to_string().contains("y.csv:2") && error.to_string().contains("cells"),
        "{error}"
    );
    // A small file that unpacks to a large one.
    let bomb = folder.file(
        "z.jsonl.zst",
        zstd::encode_all(&vec![b' '; 80 << 20][..], 3).unwrap(),
    );
    let error = FileDataset::open(&[bomb], &ColumnMap::default(), None)
        .err()
        .unwrap();
    assert!(error.to_string().contains("becomes too large"), "{error}");
}

/// E7: a half is the shortest decimal that it is.
#[test]
fn half_precision_values_are_written_as_they_were_meant() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/half.parquet");
    let data = FileDataset::open(&[path], &ColumnMap::default(), None).unwrap();
    let answers: Vec<Option<String>> = (0..data.len())
        .map(|row| data.get(row).unwrap().answer)
        .collect();
    let expected = ["0.1", "3.14", "2048.0", "-0.5", "65500.0"];
    assert_eq!(answers, expected.map(|text| Some(text.to_owned())));
}
