//! Videos in rows: which frames are shown, beside `qwen_vl_utils` (`fixtures/video/sampling.json`, made by
//! `tools/video_sampling.py`), and what is said of files that cannot be read.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use percept_data::{
    Checks, ColumnMap, Dataset, Error, FileDataset, ProblemKind, Sample, VideoSampling, check_rows,
};
use serde_json::{Value, json};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/video")
}

fn rows(folder: &Path, rows: &[Value]) -> FileDataset {
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let path = folder.join("rows.jsonl");
    std::fs::write(&path, lines).unwrap();
    FileDataset::open(&[path], &ColumnMap::default(), None).unwrap()
}

fn one(row: Value) -> Result<Sample, Error> {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "h264_bframes.mp4",
        "h264_vfr.mp4",
        "cut_end.mp4",
        "zero.mp4",
        "plain.gif",
    ] {
        std::fs::copy(fixtures().join(name), folder.path().join(name)).unwrap();
    }
    let sample = rows(folder.path(), &[row]).get(0)?;
    for frame in sample.videos.iter().flat_map(|video| &video.frames) {
        frame.decode()?;
    }
    Ok(sample)
}

#[test]
fn frames_are_chosen_as_qwen_vl_utils_chooses_them() {
    let text = std::fs::read_to_string(fixtures().join("sampling.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let get = |name: &str| case["row"].get(name).and_then(Value::as_f64);
        let sampling = VideoSampling {
            fps: get("fps"),
            nframes: get("nframes"),
            min_frames: get("min_frames"),
            max_frames: get("max_frames"),
            video_start: get("video_start"),
            video_end: get("video_end"),
        };
        let total = case["total"].as_u64().unwrap() as usize;
        let chosen = sampling.choose(total, case["fps"].as_f64().unwrap());
        if case["indices"].is_null() {
            assert!(chosen.is_err(), "{case}");
            continue;
        }
        let chosen = chosen.unwrap_or_else(|e| panic!("{case}: {e}"));
        let indices = &chosen.indices;
        let mark: usize = indices.iter().enumerate().map(|(at, i)| (at + 1) * i).sum();
        assert_eq!(json!(indices.len()), case["count"], "{case}");
        assert_eq!(json!(mark), case["mark"], "{case}: {indices:?}");
        let rate = case["sample_fps"].as_f64().unwrap();
        assert!(
            (chosen.fps - rate).abs() < 1e-9 * rate,
            "{case}: {}",
            chosen.fps
        );
    }
}

/// Twelve frames in 1.01 seconds: a GIF counts hundredths.
#[test]
fn a_row_says_what_is_shown_of_its_video() {
    let rate = 12.0 / 1.01;
    for (row, count, fps) in [
        (
            json!({"prompt": "<video>what?", "videos": ["plain.gif"]}),
            4,
            rate / 3.0,
        ),
        (
            json!({"prompt": "<video>", "videos": [{"video": "plain.gif", "nframes": 6}]}),
            6,
            rate / 2.0,
        ),
        // Frames 6 to 11, of which 3 are due, rounded down to 2.
        (
            json!({"messages": [{"role": "user", "content": [
                {"type": "video", "video": "plain.gif", "fps": 6, "video_start": 0.5, "min_frames": 2},
                {"type": "text", "text": "what?"},
            ]}]}),
            2,
            rate / 3.0,
        ),
    ] {
        let sample = one(row).unwrap();
        let video = &sample.videos[0];
        assert_eq!(video.frames.len(), count);
        assert!(
            (f64::from(video.fps) - fps).abs() < 1e-5,
            "{} {fps}",
            video.fps
        );
        assert!(sample.unread.is_empty(), "{:?}", sample.unread);
    }
}

#[cfg(feature = "h264")]
#[test]
fn films_are_shown_as_animations_are() {
    let film = json!({"prompt": "<video>", "videos": [{"video": "h264_bframes.mp4", "fps": 12}]});
    let sample = one(film).unwrap();
    assert_eq!(sample.videos[0].frames.len(), 12);
    let hashes: std::collections::HashSet<_> = sample.videos[0]
        .frames
        .iter()
        .map(|f| f.hash().unwrap_or_default())
        .collect();
    assert!(hashes.len() <= 12);
    let bytes = std::fs::read(fixtures().join("h264_bframes.mp4")).unwrap();
    let video = percept_data::Video::from_bytes(&bytes, &VideoSampling::default()).unwrap();
    assert_eq!(video.frames.len(), 4);
    assert_eq!(video.frames[3].decode().unwrap().dimensions(), (96, 64));
}

#[test]
fn what_cannot_be_shown_is_refused_with_row_and_field() {
    for (video, expected) in [
        (json!("zero.mp4"), "zero.mp4: video file is empty"),
        (json!("none.mp4"), "none.mp4: video does not exist"),
        (json!("https://example.org/a.mp4"), "web address"),
        (
            json!({"video": "plain.gif", "fps": 2, "nframes": 4}),
            "both fps and nframes",
        ),
        (
            json!({"video": "plain.gif", "nframes": 40}),
            "number of frames does not fit",
        ),
        (
            json!({"video": "plain.gif", "fps": 0}),
            "fps is no usable number",
        ),
        (
            json!({"video": "plain.gif", "video_start": 0.95}),
            "no two frames",
        ),
        (
            json!({"video": "plain.gif", "sample_fps": 2}),
            "rate of a list of frames",
        ),
        (json!({"frames": ["a.png"], "nframes": 2}), "shown as it is"),
    ] {
        let message = one(json!({"prompt": "<video>", "videos": [video]}))
            .unwrap_err()
            .to_string();
        assert!(message.contains("rows.jsonl:1, videos[0]"), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

#[cfg(feature = "h264")]
#[test]
fn data_check_names_the_clip_and_the_time_at_which_it_breaks_off() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["h264_bframes.mp4", "cut_end.mp4"] {
        std::fs::copy(fixtures().join(name), folder.path().join(name)).unwrap();
    }
    let data = rows(
        folder.path(),
        &[
            json!({"prompt": "<video>good?", "videos": ["h264_bframes.mp4"], "answer": "1"}),
            json!({"prompt": "<video>cut?", "videos": ["cut_end.mp4"], "answer": "1"}),
        ],
    );
    let report = check_rows(&data, &Checks::default(), &mut |_, _| {});
    assert_eq!(report.problems.len(), 1);
    let problem = &report.problems[0];
    assert_eq!(problem.kind, ProblemKind::Image);
    assert!(
        problem.message.contains("cut_end.mp4: video breaks off"),
        "{}",
        problem.message
    );
    assert!(problem.message.contains(" s "), "{}", problem.message);
    assert_eq!(problem.field.as_deref(), Some("videos[0]"));
}
