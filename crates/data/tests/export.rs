//! What is written is read back: property over samples of every shape.

#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use percept_data::scenes::{Ask, Scenes, ScenesConfig};
use percept_data::{
    ColumnMap, Dataset, Error, FileDataset, Media, Message, Part, Preference, Role, Sample, Video,
    write_jsonl,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn media(seed: u8) -> Media {
    let (width, height) = (1 + u32::from(seed % 5), 1 + u32::from(seed % 3));
    let pixels = RgbImage::from_pixel(width, height, Rgb([seed, 255 - seed, 7]));
    let format = match seed % 3 {
        0 => return Media::from_image(pixels),
        1 => ImageFormat::Jpeg,
        _ => ImageFormat::Bmp,
    };
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, format).unwrap();
    Media::from_bytes(bytes.into_inner())
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Image(u8),
    Video(Vec<u8>, f32),
}

fn piece() -> impl Strategy<Value = Piece> {
    let text = prop_oneof![any::<String>(), Just("a <image> <video> b".to_owned())];
    prop_oneof![
        3 => text.prop_map(Piece::Text),
        2 => any::<u8>().prop_map(Piece::Image),
        1 => (prop::collection::vec(any::<u8>(), 0..3), 0.1f32..60.0)
            .prop_map(|(frames, fps)| Piece::Video(frames, fps)),
    ]
}

type Turn = (Role, Vec<Piece>, Option<bool>);

fn turn() -> impl Strategy<Value = Turn> {
    let role = prop_oneof![
        Just(Role::System),
        Just(Role::User),
        Just(Role::Assistant),
        Just(Role::Tool)
    ];
    let pieces = prop::collection::vec(piece(), 0..4);
    (role, pieces, any::<Option<bool>>())
}

fn meta() -> impl Strategy<Value = serde_json::Map<String, Value>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i16>().prop_map(|n| (f64::from(n) / 8.0).into()),
        any::<String>().prop_map(Value::from),
        any::<Vec<u8>>().prop_map(|list| json!({"list": list})),
    ];
    // Names of columns belong to columns; `a_field_that_would_be_misread_is_refused` has those.
    prop::collection::btree_map("m_[a-z]{0,6}|level|data_source|prompt|.{0,3}", value, 0..4)
        .prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>())
        .prop_map(|mut fields| {
            let known = |name: &str| name == "id" || name == "prompt" && fields[name].is_null();
            let names: Vec<String> = fields.keys().filter(|name| known(name)).cloned().collect();
            names.iter().for_each(|name| {
                fields.remove(name);
            });
            fields
        })
}

fn sample() -> impl Strategy<Value = Sample> {
    let texts = (
        any::<String>(),
        any::<Option<String>>(),
        any::<Option<String>>(),
    );
    let turns = prop::collection::vec(turn(), 1..4);
    (texts, turns, meta()).prop_map(|((id, answer, expert), turns, meta)| {
        let mut sample = Sample::new(id, Vec::new());
        (sample.answer, sample.expert, sample.meta) = (answer, expert, meta);
        for (role, pieces, train) in turns {
            let mut content = Vec::new();
            for piece in pieces {
                content.push(match piece {
                    Piece::Text(text) => Part::Text(text),
                    Piece::Image(seed) => {
                        sample.images.push(media(seed));
                        Part::Image(sample.images.len() - 1)
                    }
                    Piece::Video(frames, fps) => {
                        let frames = frames.into_iter().map(media).collect();
                        sample.videos.push(Video { frames, fps });
                        Part::Video(sample.videos.len() - 1)
                    }
                });
            }
            sample.messages.push(Message {
                train,
                ..Message::new(role, content)
            });
        }
        sample
    })
}

fn assert_same(a: &Sample, b: &Sample) {
    assert_eq!(a.id, b.id);
    assert_eq!(a.messages, b.messages);
    assert_eq!((&a.answer, &a.expert), (&b.answer, &b.expert));
    assert_eq!(a.meta, b.meta);
    let pixels = |images: &[Media]| -> Vec<Vec<u8>> {
        let encoded = images.iter().map(|image| image.encoded().unwrap().to_vec());
        encoded.collect()
    };
    assert_eq!(pixels(&a.images), pixels(&b.images));
    assert_eq!(a.videos.len(), b.videos.len());
    for (a, b) in a.videos.iter().zip(&b.videos) {
        assert_eq!(a.fps, b.fps);
        assert_eq!(pixels(&a.frames), pixels(&b.frames));
    }
}

fn spoken() -> impl Strategy<Value = String> {
    "[ -~]{0,12}[a-z<>é]( <image>){0,2}"
}

/// A pair on top of a sample, whose prompt then ends with the user.
fn paired() -> impl Strategy<Value = Sample> {
    let answers = (
        spoken(),
        prop::collection::vec(spoken(), 0..4),
        any::<Option<bool>>(),
    );
    let versions = prop::collection::vec(any::<u8>(), 0..3);
    let numbers = (any::<Option<u8>>(), any::<Option<i8>>());
    (sample(), answers, versions, numbers).prop_map(|(mut sample, answers, versions, numbers)| {
        sample.messages.retain(|turn| turn.role != Role::Assistant);
        sample.messages.push(Message::text(Role::User, "And?"));
        sample.images.clear();
        sample.videos.clear();
        for part in sample
            .messages
            .iter_mut()
            .flat_map(|turn| &mut turn.content)
        {
            match part {
                Part::Image(at) => {
                    *at = sample.images.len();
                    sample.images.push(media(*at as u8));
                }
                Part::Video(_) => *part = Part::Text("video".into()),
                Part::Text(_) => {}
            }
        }
        for name in ["prompt", "id"] {
            sample.meta.shift_remove(name);
        }
        let say = |text: &String| vec![Message::text(Role::Assistant, text.as_str())];
        let (chosen, mut rejected, corrected) = answers;
        let sets = versions.iter().map(|&version| {
            let pictures = (0..sample.images.len()).map(|at| media(version.wrapping_add(at as u8)));
            pictures.collect::<Vec<_>>()
        });
        let sets: Vec<Vec<Media>> = sets.filter(|set| !set.is_empty()).collect();
        if rejected.is_empty() && sets.is_empty() {
            rejected.push("none".into());
        }
        sample.preference = Some(Preference {
            chosen: say(&chosen),
            rejected: rejected.iter().map(say).collect(),
            rejected_images: sets,
            corrected: corrected.map(|_| say(&chosen)),
            confidence: numbers.0.map(|n| f64::from(n) / 255.0),
            clip_gap: numbers.1.map(f64::from),
        });
        sample
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn written_pairs_read_back_the_same(samples in prop::collection::vec(paired(), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        let path = write_jsonl(samples.iter().cloned().map(Ok), folder.path()).unwrap();
        let back = FileDataset::open(&[path], &ColumnMap::default(), None).unwrap();
        for (i, sample) in samples.iter().enumerate() {
            let read = back.get(i).unwrap();
            assert_same(sample, &read);
            let (a, b) = (sample.preference.as_ref().unwrap(), read.preference.unwrap());
            prop_assert_eq!((&a.chosen, &a.rejected, &a.corrected), (&b.chosen, &b.rejected, &b.corrected));
            prop_assert_eq!((a.confidence, a.clip_gap), (b.confidence, b.clip_gap));
            let pixels = |sets: &[Vec<Media>]| -> Vec<Vec<Vec<u8>>> {
                let set = |set: &Vec<Media>| set.iter().map(|image| image.encoded().unwrap().to_vec()).collect();
                sets.iter().map(set).collect()
            };
            prop_assert_eq!(pixels(&a.rejected_images), pixels(&b.rejected_images));
        }
    }

    #[test]
    fn written_samples_read_back_the_same(samples in prop::collection::vec(sample(), 1..4)) {
        let folder = tempfile::tempdir().unwrap();
        let path = write_jsonl(samples.iter().cloned().map(Ok), folder.path()).unwrap();
        let back = FileDataset::open(&[path], &ColumnMap::default(), None).unwrap();
        prop_assert_eq!(back.len(), samples.len());
        for (i, sample) in samples.iter().enumerate() {
            assert_same(sample, &back.get(i).unwrap());
        }
    }
}

fn write(sample: Sample) -> Result<(), Error> {
    let folder = tempfile::tempdir().unwrap();
    write_jsonl([Ok(sample)].into_iter(), folder.path()).map(|_| ())
}

fn asks() -> Sample {
    Sample::new("s1", vec![Message::text(Role::User, "Hi")])
}

#[test]
fn a_field_that_would_be_misread_is_refused() {
    for name in ["id", "images", "video", "system", "solution", "response"] {
        let mut sample = asks();
        sample.meta.insert(name.into(), "x".into());
        let error = write(sample).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("s1"), "{error}");
    }
    let mut sample = asks();
    sample
        .meta
        .insert("reward_model".into(), json!({"ground_truth": "3"}));
    assert!(write(sample.clone()).is_err());
    sample.answer = Some("3".into());
    write(sample).unwrap();
}

#[test]
fn media_and_marks_must_agree() {
    let mut sample = asks();
    sample.images.push(media(1));
    let error = write(sample).unwrap_err().to_string();
    assert!(error.contains("stand nowhere"), "{error}");
    let mut sample = asks();
    sample.messages[0].content.push(Part::Image(0));
    let error = write(sample).unwrap_err().to_string();
    assert!(error.contains("Image(0)"), "{error}");
    let error = write(Sample::new("s1", Vec::new())).unwrap_err();
    assert!(error.to_string().contains("no messages"), "{error}");
}

#[test]
fn a_pair_that_is_none_is_refused() {
    let say = |text: &str| vec![Message::text(Role::Assistant, text)];
    let paired = |rejected: Vec<Vec<Message>>, rejected_images: Vec<Vec<Media>>| {
        let mut sample = asks();
        sample.preference = Some(Preference {
            chosen: say("A"),
            rejected,
            rejected_images,
            ..Preference::default()
        });
        sample
    };
    write(paired(vec![say("B")], Vec::new())).unwrap();
    let shown = vec![vec![Message::new(Role::Assistant, vec![Part::Image(0)])]];
    let mut named = paired(vec![say("B")], Vec::new());
    named.meta.insert("confidence".into(), json!(0.5));
    for (sample, expected) in [
        (paired(Vec::new(), Vec::new()), "without a rejected answer"),
        (
            paired(vec![say("B")], vec![vec![media(1)]]),
            "rejected pictures",
        ),
        (paired(shown, Vec::new()), "shows media"),
        (named, "confidence"),
    ] {
        let error = write(sample).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // Of a row that is no pair, what would make it one is refused, and a remark is not.
    let mut plain = asks();
    plain.meta.insert("rejected".into(), json!(false));
    write(plain.clone()).unwrap();
    plain.meta.insert("rejected".into(), json!("B"));
    assert!(write(plain).is_err());
}

#[test]
fn an_error_of_a_sample_leaves_no_data_file() {
    let folder = tempfile::tempdir().unwrap();
    let samples = [Ok(asks()), Err(Error::row("bad").at("x.jsonl", 2))];
    let error = write_jsonl(samples.into_iter(), folder.path()).unwrap_err();
    assert_eq!(error.to_string(), "x.jsonl:2: bad");
    assert!(!folder.path().join("data.jsonl").exists());
}

/// Pairs come back as they were: one rejected answer and picture (`scenes`), or several of both with numbers.
#[test]
fn preferences_are_read_back() {
    let scenes = Scenes::new(ScenesConfig {
        ask: Ask::Preference,
        len: 4,
        ..ScenesConfig::default()
    });
    let scenes = scenes.unwrap();
    let mut samples: Vec<Sample> = (0..4).map(|row| scenes.get(row).unwrap()).collect();
    let pair = samples[3].preference.as_mut().unwrap();
    pair.rejected.push(vec![Message::text(
        Role::Assistant,
        "There is <image> nothing.",
    )]);
    pair.rejected_images.push(vec![media(1)]);
    pair.corrected = Some(vec![Message::text(Role::Assistant, "There is something.")]);
    (pair.confidence, pair.clip_gap) = (Some(0.75), Some(-0.5));
    let dir = tempfile::tempdir().unwrap();
    let path = write_jsonl(samples.clone().into_iter().map(Ok), dir.path()).unwrap();
    let back = FileDataset::open(&[path], &ColumnMap::default(), None).unwrap();
    for (row, sample) in samples.iter().enumerate() {
        let back = back.get(row).unwrap();
        assert_same(sample, &back);
        let (ours, back) = (
            sample.preference.as_ref().unwrap(),
            back.preference.unwrap(),
        );
        assert_eq!(
            (&ours.chosen, &ours.rejected, &ours.corrected),
            (&back.chosen, &back.rejected, &back.corrected)
        );
        assert_eq!(
            (ours.confidence, ours.clip_gap),
            (back.confidence, back.clip_gap)
        );
        let pixels = |sets: &[Vec<Media>]| -> Vec<Vec<RgbImage>> {
            let set = |set: &Vec<Media>| set.iter().map(|media| media.decode().unwrap()).collect();
            sets.iter().map(set).collect()
        };
        assert_eq!(pixels(&ours.rejected_images), pixels(&back.rejected_images));
    }
}
