//! Each convention of the field is read, and each mistake is named with file, row and field.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use percept_data::digit_sum::{DigitSum, DigitSumConfig};
use percept_data::{
    Checks, ColumnMap, Dataset, FileDataset, Part, ProblemKind, Role, RowTokens, Sample,
    check_rows, write_jsonl,
};
use proptest::prelude::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        image::RgbImage::new(3, 2)
            .save(folder.path("a.png"))
            .unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn open(path: &Path) -> Result<FileDataset, percept_data::Error> {
    FileDataset::open(&[path.to_path_buf()], &ColumnMap::default(), None)
}

fn one(line: &str) -> Sample {
    let folder = Folder::new();
    let sample = open(&folder.file("x.jsonl", line)).unwrap().get(0).unwrap();
    for image in &sample.images {
        assert_eq!(image.dimensions().unwrap(), (3, 2));
    }
    sample
}

#[test]
fn verl_rows() {
    let s = one(
        r#"{"data_source": "geo", "prompt": [{"role": "user", "content": "<image>Find x."}], "images": ["a.png"], "ability": "math", "reward_model": {"style": "rule", "ground_truth": "3"}, "extra_info": {"index": 7}}"#,
    );
    assert_eq!(
        s.messages[0].content,
        [Part::Image(0), Part::Text("Find x.".into())]
    );
    assert_eq!(s.answer.as_deref(), Some("3"));
    assert_eq!(s.meta["extra_info"]["index"], 7);
    assert_eq!(s.id, "x.jsonl:1");
}

#[test]
fn trl_rows() {
    let s = one(
        r#"{"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}, {"role": "assistant", "content": "A dot."}], "images": [{"path": "a.png", "bytes": null}], "solution": 12}"#,
    );
    assert_eq!(s.messages[1].role, Role::Assistant);
    assert_eq!(s.answer.as_deref(), Some("12"));
    let s = one(r#"{"prompt": "What?", "image": "a.png", "completion": "A dot.", "id": 5}"#);
    assert_eq!(
        s.messages[0].content,
        [Part::Image(0), Part::Text("What?".into())]
    );
    assert_eq!((s.expert.as_deref(), s.id.as_str()), (Some("A dot."), "5"));
}

// C8: filter tgrl's n_expert above 1 has what it needs.
#[test]
fn several_experts_of_a_row_are_a_list() {
    let row = |expert: &str| format!(r#"{{"prompt": "What?", "answer": "1", "expert": {expert}}}"#);
    let texts = |s: Sample| -> Vec<String> { s.expert.into_iter().chain(s.more_experts).collect() };
    assert_eq!(texts(one(&row(r#""One.""#))), ["One."]);
    assert_eq!(
        texts(one(&row(r#"["One.", "1", "It is 1."]"#))),
        ["One.", "1", "It is 1."]
    );
    let turns = r#"[{"role": "assistant", "content": "One."}]"#;
    assert_eq!(texts(one(&row(turns))), ["One."]);
    assert_eq!(
        texts(one(&row(&format!("[{turns}, \"1\"]")))),
        ["One.", "1"]
    );
    let folder = Folder::new();
    let sample = one(&row(r#"["One.", "1"]"#));
    let jsonl = write_jsonl([Ok(sample)].into_iter(), &folder.path("out")).unwrap();
    assert_eq!(texts(open(&jsonl).unwrap().get(0).unwrap()), ["One.", "1"]);
}

#[test]
fn easy_r1_and_ms_swift_rows() {
    let s = one(
        r#"{"problem": "<image>How many <image>?", "images": ["a.png", "a.png"], "answer": "2"}"#,
    );
    let expected = [
        Part::Image(0),
        Part::Text("How many ".into()),
        Part::Image(1),
        Part::Text("?".into()),
    ];
    assert_eq!(s.messages[0].content, expected);
    let s = one(
        r#"{"messages": [{"role": "user", "content": "<image>Hi"}, {"role": "assistant", "content": "Ho", "loss": false}], "images": ["a.png"], "system": "Be brief."}"#,
    );
    assert_eq!(s.messages[0].role, Role::System);
    assert!(!s.messages[2].trains());
}

#[test]
fn images_of_column_and_conversation_are_numbered_as_they_appear() {
    let png = base64(&std::fs::read(Folder::new().path("a.png")).unwrap());
    let s = one(&format!(
        r#"{{"messages": [{{"role": "user", "content": [{{"type": "image_url", "image_url": {{"url": "data:image/png;base64,{png}"}}}}, {{"type": "image"}}]}}], "images": [{{"base64": "{png}"}}]}}"#
    ));
    assert_eq!(s.messages[0].content, [Part::Image(0), Part::Image(1)]);
    assert_eq!(s.images.len(), 2);
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn columns_can_be_named() {
    let folder = Folder::new();
    let path = folder.file(
        "x.json",
        r#"[{"q": "Hi", "gt": [1, 2]}, {"q": "Ho", "gt": null}]"#,
    );
    let columns = ColumnMap {
        prompt: Some("q".into()),
        answer: Some("gt".into()),
        ..ColumnMap::default()
    };
    let data = FileDataset::open(&[path], &columns, None).unwrap();
    assert_eq!(data.get(0).unwrap().answer.as_deref(), Some("[1,2]"));
    assert_eq!(data.get(1).unwrap().answer, None);
}

/// E6
#[test]
fn a_list_of_texts_is_several_right_answers_and_a_list_of_numbers_is_one() {
    for (column, answer, alternatives) in [
        (r#"["4", "four"]"#, "4", &["four"][..]),
        (r#"["4", 4, true]"#, "4", &["4", "true"]),
        (r#"["4"]"#, "4", &[]),
        (r#"["A", "C"]"#, "A, C", &[]),
        ("[4, 8]", "[4,8]", &[]),
        ("[[1, 2, 3, 4], [5, 6, 7, 8]]", "[[1,2,3,4],[5,6,7,8]]", &[]),
        ("4", "4", &[]),
        (r#""[4, 8]""#, "[4, 8]", &[]),
    ] {
        for row in [
            format!(r#"{{"prompt": "How many?", "answer": {column}}}"#),
            format!(r#"{{"prompt": "How many?", "reward_model": {{"ground_truth": {column}}}}}"#),
        ] {
            let sample = one(&row);
            assert_eq!(sample.answer.as_deref(), Some(answer), "{row}");
            assert_eq!(sample.alternatives, alternatives, "{row}");
        }
    }
}

#[test]
fn each_mistake_is_named_with_its_place() {
    let turn =
        |content: &str| format!(r#"{{"messages": [{{"role": "user", "content": {content}}}]}}"#);
    let cases: Vec<(String, &str)> = vec![
        (r#"{"text": "Hi"}"#.into(), "no prompt"),
        (r#"{"messages": []}"#.into(), "not a conversation"),
        (r#"{"messages": 3}"#.into(), "number 3"),
        (r#"{"messages": ["Hi"]}"#.into(), "messages[0]"),
        (r#"{"messages": [{"content": "Hi"}]}"#.into(), "no role"),
        (
            r#"{"messages": [{"role": "bot", "content": "Hi"}]}"#.into(),
            "unknown role",
        ),
        (
            r#"{"messages": [{"role": 1, "content": "Hi"}]}"#.into(),
            "messages[0].role",
        ),
        (turn("null"), "no content"),
        (turn("7"), "messages[0].content"),
        (turn(r#"[{"text": "Hi"}]"#), "no type"),
        (turn(r#"[{"type": "audio"}]"#), "unknown type"),
        (turn(r#"[{"type": "text"}]"#), "no text"),
        (turn(r#"[{"type": "image"}]"#), "1 marks, 0 images"),
        (turn(r#""<image>""#), "1 marks, 0 images"),
        (
            r#"{"prompt": "<image>", "images": ["a.png", "a.png"]}"#.into(),
            "1 marks, 2 images",
        ),
        (r#"{"prompt": "Hi", "images": [7]}"#.into(), "images[0]"),
        (
            r#"{"prompt": "Hi", "images": [{"size": 3}]}"#.into(),
            "not an image",
        ),
        (
            r#"{"prompt": "Hi", "images": ["https://x.org/a.png"]}"#.into(),
            "web address",
        ),
        (
            r#"{"prompt": "Hi", "images": ["data:image/png;base64,$$"]}"#.into(),
            "base64",
        ),
        (r#"{"prompt": "Hi", "videos": [5]}"#.into(), "not a video"),
        (r#"{"prompt": "Hi", "expert": 4}"#.into(), "expert"),
        ("[1]".into(), "not an object"),
        (r#"{"prompt": "Hi""#.into(), "breaks off"),
        ("{nonsense}".into(), "not JSON"),
    ];
    for (line, expected) in cases {
        let folder = Folder::new();
        let path = folder.file("x.jsonl", format!("\n{line}\n"));
        let message = open(&path).unwrap().get(0).unwrap_err().to_string();
        assert!(message.contains("x.jsonl:2"), "{line}: {message}");
        assert!(message.contains(expected), "{line}: {message}");
    }
}

#[test]
fn files_that_cannot_be_data_are_refused() {
    let folder = Folder::new();
    for (path, expected) in [
        (folder.path("none.jsonl"), "does not exist"),
        (folder.file("empty.jsonl", ""), "empty"),
        (folder.file("blank.jsonl", " \n\n"), "no rows"),
        (folder.file("x.txt", "a,b"), "unknown kind"),
        (folder.file("x.csv", "a,b"), "no rows"),
        (folder.file("x.arrow", "ARROW1"), "Arrow files are not read"),
        (folder.file("x.jsonl.gz", "no gzip"), "cannot be unpacked"),
        (folder.file("x.jsonl.zst", "no zstd"), "cannot be unpacked"),
        (folder.file("x.jsonl.xz", "x"), "packed data file"),
        (folder.file("x.parquet", "PAR1 nonsense"), "Parquet"),
        (folder.0.path().to_path_buf(), "folder"),
        (
            folder.file("cut.json", r#"[{"prompt": "Hi"}, {"pro"#),
            "truncated",
        ),
    ] {
        let Err(error) = open(&path) else {
            panic!("{} opened", path.display())
        };
        assert!(error.to_string().contains(expected), "{error}");
    }
    let path = folder.file("bad.jsonl", b"{\"prompt\": \"\xff\"}");
    let error = open(&path).unwrap().get(0).err().unwrap();
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

#[test]
fn exported_rows_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let task = DigitSum::new(DigitSumConfig {
        len: 5,
        ..DigitSumConfig::default()
    })
    .unwrap();
    let path = write_jsonl((0..5).map(|i| task.get(i)), folder.path()).unwrap();
    let back = open(&path).unwrap();
    for i in 0..5 {
        let (a, b) = (task.get(i).unwrap(), back.get(i).unwrap());
        assert_eq!(
            (a.id, a.messages, a.answer, a.expert),
            (b.id, b.messages, b.answer, b.expert)
        );
        assert_eq!(a.meta, b.meta);
        assert_eq!(
            a.images[0].encoded().unwrap(),
            b.images[0].encoded().unwrap()
        );
    }
}

#[test]
fn a_check_finds_every_kind_of_problem() {
    let folder = Folder::new();
    folder.file("broken.png", b"\x89PNG\r\n\x1a\nrubbish");
    let lines = [
        r#"{"prompt": "one", "images": ["a.png"], "answer": "1"}"#,
        r#"{"prompt": "one", "images": ["a.png"], "answer": "1"}"#,
        r#"{"prompt": "two", "images": ["missing.png"], "answer": "1"}"#,
        r#"{"prompt": "three", "images": ["broken.png"], "answer": "1"}"#,
        r#"{"prompt": "four", "answer": "?"}"#,
        r#"{"prompt": "five five five", "answer": "1"}"#,
        r#"{"nothing": 1}"#,
    ];
    let data = open(&folder.file("x.jsonl", lines.join("\n"))).unwrap();
    let tokens = |sample: &Sample| -> Result<RowTokens, String> {
        let words = sample.messages[0].plain_text().split(' ').count();
        Ok(RowTokens {
            prompt: words,
            image: sample.images.len(),
        })
    };
    let answer = |sample: &Sample| match sample.answer.as_deref() {
        Some("1") => Ok(()),
        other => Err(format!("{other:?} is not a number")),
    };
    let checks = Checks {
        max_prompt_length: 2,
        tokens: &tokens,
        answer: &answer,
        ..Checks::default()
    };
    let report = check_rows(&data, &checks, &mut |_, _| {});
    let found: Vec<(&str, ProblemKind)> = report
        .problems
        .iter()
        .map(|p| (p.id.as_str(), p.kind))
        .collect();
    assert_eq!(
        found,
        [
            ("x.jsonl:2", ProblemKind::Duplicate),
            ("x.jsonl:3", ProblemKind::Image),
            ("x.jsonl:4", ProblemKind::Image),
            ("x.jsonl:5", ProblemKind::Answer),
            ("x.jsonl:6", ProblemKind::Overlong),
            ("x.jsonl:7", ProblemKind::Row),
        ]
    );
    assert_eq!((report.rows, report.prompt_tokens.len()), (7, 4));
}

#[test]
fn a_check_says_when_equal_questions_have_different_answers() {
    let folder = Folder::new();
    std::fs::copy(folder.path("a.png"), folder.path("copy.png")).unwrap();
    let lines = [
        r#"{"prompt": "one", "images": ["a.png"], "answer": "1"}"#,
        r#"{"prompt": "one", "images": ["copy.png"], "answer": "2"}"#,
        r#"{"prompt": "one", "answer": "1"}"#,
        r#"{"prompt": "two", "images": ["a.png", "none.png"], "answer": "1"}"#,
        r#"{"prompt": [{"role": "bot", "content": "x"}]}"#,
    ];
    let data = open(&folder.file("x.jsonl", lines.join("\n"))).unwrap();
    let mut heard = Vec::new();
    let report = check_rows(&data, &Checks::default(), &mut |done, total| {
        heard.push((done, total));
    });
    assert_eq!(heard.last(), Some(&(5, 5)));
    let found: Vec<_> = report
        .problems
        .iter()
        .map(|p| (p.id.as_str(), p.field.as_deref()))
        .collect();
    let expected = [
        ("x.jsonl:2", None),
        ("x.jsonl:4", Some("images[1]")),
        ("x.jsonl:5", Some("prompt[0].role")),
    ];
    assert_eq!(found, expected);
    let duplicate = &report.problems[0].message;
    assert!(
        duplicate.contains("x.jsonl:1, but another answer"),
        "{duplicate}"
    );
    // E9: the second was a duplicate that only costs, although one of the two trains something wrong.
    assert_eq!(report.count(ProblemKind::Contradiction), 1);
    assert!(ProblemKind::Contradiction.is_error());
    assert!(!report.is_clean());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn damaged_bytes_never_panic(at in 0usize..400, byte in any::<u8>(), cut in 0usize..400) {
        let line = r#"{"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}], "images": ["a.png"], "answer": 12}"#;
        for name in ["x.jsonl", "x.json"] {
            let mut bytes = if name == "x.json" { format!("[{line},{line}]") } else { format!("{line}\n{line}") }.into_bytes();
            let len = bytes.len();
            bytes[at % len] = byte;
            bytes.truncate(len.saturating_sub(cut));
            let folder = Folder::new();
            if let Ok(data) = open(&folder.file(name, &bytes)) {
                for i in 0..data.len() {
                    let _ = data.get(i);
                }
            }
        }
    }
}

#[test]
fn a_row_of_a_single_frame_shows_its_picture_and_not_its_clip() {
    let s = one(
        r#"{"images": ["a.png"], "prompt": "What is wrong?", "labels": ["motion blur"], "pair_id": "p1", "side": "A", "preference": "same", "time_s": 1.25, "video": "clip.mp4"}"#,
    );
    assert_eq!(
        s.messages[0].content,
        [Part::Image(0), Part::Text("What is wrong?".into())]
    );
    assert!(s.videos.is_empty());
    assert_eq!(s.meta["video"], "clip.mp4");
    assert_eq!(s.meta["time_s"], 1.25);
    assert_eq!(s.meta["labels"][0], "motion blur");
}
