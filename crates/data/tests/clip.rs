//! Clips beside PyAV (`fixtures/video/golden.json`, made by `tools/video_reference.py`), and files that no program should
//! trust.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use image::RgbImage;
use percept_data::{Clip, ClipOptions, Error};
use proptest::prelude::*;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/video")
}

fn golden() -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(folder().join("golden.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    golden["files"].as_object().unwrap().clone()
}

/// Opens a clip; none, said aloud, where it takes ffmpeg and there is none.
fn open(name: &str) -> Option<Result<Clip, Error>> {
    let clip = Clip::open(folder().join(name));
    if let Err(error) = &clip
        && error.to_string().contains("needs the program ffmpeg")
    {
        eprintln!(
            "SKIPPED {name}: there is no ffmpeg on this machine (Debian: apt install ffmpeg)"
        );
        return None;
    }
    Some(clip)
}

/// Mean levels of red, green and blue in six fields, as the script takes them.
fn grid(image: &RgbImage) -> Vec<f64> {
    let (width, height) = image.dimensions();
    let (rows, columns) = if width >= height { (2, 3) } else { (3, 2) };
    let mut levels = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            let mut sums = [0.0; 3];
            let mut count = 0.0;
            for y in height * row / rows..height * (row + 1) / rows {
                for x in width * column / columns..width * (column + 1) / columns {
                    let pixel = image.get_pixel(x, y).0;
                    (0..3).for_each(|c| sums[c] += f64::from(pixel[c]));
                    count += 1.0;
                }
            }
            levels.extend(sums.map(|sum| sum / count));
        }
    }
    levels
}

#[test]
fn frames_and_times_are_those_of_pyav() {
    for (name, wanted) in golden() {
        let times = wanted["times"].as_array().unwrap();
        let Some(clip) = open(&name) else { continue };
        if times.is_empty() {
            let message = clip
                .err()
                .unwrap_or_else(|| panic!("{name} opens"))
                .to_string();
            assert!(message.contains(&name), "{message}");
            continue;
        }
        let clip = clip.unwrap();
        let size = [clip.info().width, clip.info().height];
        assert_eq!(serde_json::json!(size), wanted["size"], "{name}");
        let grids = wanted["grids"].as_array().unwrap();
        let step = (times.len() / 8).max(1);
        // The program's own swscale interpolates the chroma of 10 bits and of odd sizes, each version in its way.
        let slack = match clip.info().decoder {
            "ffmpeg" => 6.0,
            _ => 2.0,
        };
        let mut count = 0;
        let mut error = None;
        for frame in clip.frames() {
            let frame = match frame {
                Ok(frame) => frame,
                Err(found) => {
                    error = Some(found.to_string());
                    break;
                }
            };
            // PyAV raises an error before the last frames of a file that breaks off.
            let Some(time) = times.get(count).and_then(Value::as_f64) else {
                count += 1;
                continue;
            };
            assert!(
                (frame.time_s - time).abs() < 1e-5,
                "{name}: {} {time}",
                frame.time_s
            );
            if count % step == 0 {
                let grid = grid(&frame.image);
                let levels = grids[count / step].as_array().unwrap();
                assert_eq!(levels.len(), grid.len());
                for (ours, theirs) in grid.iter().zip(levels) {
                    let theirs = theirs.as_f64().unwrap();
                    assert!(
                        (ours - theirs).abs() <= slack,
                        "{name} at {time} s: {ours} {theirs}"
                    );
                }
            }
            count += 1;
        }
        // PyAV conceals damage and says nothing; percept says where it begins.
        match name.as_str() {
            "cut_end.mp4" | "damaged.mp4" => {
                let error = error.unwrap();
                assert!(error.contains(&name) && error.contains(" s"), "{error}");
                assert!((8..24).contains(&count), "{name}: {count}");
            }
            _ => {
                assert_eq!(error, None, "{name}");
                assert_eq!(count, times.len(), "{name}");
                assert_eq!(clip.info().frame_times.len(), times.len(), "{name}");
            }
        }
    }
}

#[test]
fn a_frame_asked_for_by_its_time_is_the_one_that_is_shown_then() {
    for name in [
        "h264_bframes.mp4",
        "h264_pyramid.mp4",
        "h264_vfr.mp4",
        "h264_trimmed.mp4",
        "h264_groups.mp4",
        "h264_opengop.mp4",
        "vfr.gif",
        "vp9_odd.webm",
    ] {
        let Some(clip) = open(name) else { continue };
        let clip = clip.unwrap();
        let all: Vec<_> = clip.frames().collect::<Result<_, _>>().unwrap();
        let begins = &clip.info().frame_times;
        let end = clip.info().end_s();
        // Out of order, twice, at the beginning of a frame and just before it.
        let mut times = vec![end, 0.0, 0.37, 0.37, end / 2.0, 0.11];
        for (at, &time) in begins.iter().enumerate().skip(1).step_by(5) {
            times.push(time);
            times.push((begins[at - 1] + 3.0 * time) / 4.0);
        }
        let found = clip.frames_at(&times).unwrap();
        for (time, frame) in times.iter().zip(&found) {
            let shown = all.iter().rev().find(|f| f.time_s <= time + 1e-4);
            let shown = shown.unwrap_or(&all[0]);
            assert_eq!(frame.time_s, shown.time_s, "{name} at {time}");
            assert!(frame.image == shown.image, "{name} at {time}");
        }
        for outside in [-0.1, end + 0.1, f64::NAN] {
            let message = clip.frames_at(&[0.0, outside]).unwrap_err().to_string();
            assert!(
                message.contains(name) && message.contains("outside the clip"),
                "{message}"
            );
        }
    }
}

#[test]
fn a_folder_of_frames_is_a_clip() {
    let folder = tempfile::tempdir().unwrap();
    for at in 0..12_u8 {
        let image = RgbImage::from_pixel(8, 6, image::Rgb([20 * at, 0, 0]));
        image
            .save(folder.path().join(format!("frame{at}.png")))
            .unwrap();
    }
    std::fs::write(folder.path().join("notes.txt"), "no frame").unwrap();
    let options = ClipOptions {
        folder_fps: 4.0,
        ..ClipOptions::default()
    };
    let clip = Clip::open_with(folder.path(), &options).unwrap();
    assert_eq!(
        (clip.info().duration_s, clip.info().frame_times.len()),
        (3.0, 12)
    );
    // frame10 comes behind frame9 and not behind frame1.
    let frames = clip.frames_at(&[2.5, 0.3]).unwrap();
    let red = frames.iter().map(|frame| frame.image.get_pixel(0, 0).0[0]);
    assert_eq!(red.collect::<Vec<_>>(), [200, 20]);
    let empty = tempfile::tempdir().unwrap();
    let message = Clip::open(empty.path()).unwrap_err().to_string();
    assert!(message.contains("folder has no frames"), "{message}");
}

#[test]
fn what_is_no_video_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("a.mp4");
    RgbImage::new(2, 2)
        .save_with_format(&picture, image::ImageFormat::Png)
        .unwrap();
    let message = Clip::open(&picture).unwrap_err().to_string();
    assert!(
        message.contains("an image, no video") && message.contains("a.mp4"),
        "{message}"
    );
    let message = Clip::open(folder.path().join("none.mp4"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("does not exist"), "{message}");
}

#[test]
fn a_missing_ffmpeg_is_named_with_its_package() {
    let options = ClipOptions {
        ffmpeg: Some("/nowhere/ffmpeg".into()),
        ..ClipOptions::default()
    };
    let message = Clip::open_with(self::folder().join("vp9_odd.webm"), &options)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("WebM") && message.contains("apt install ffmpeg"),
        "{message}"
    );
}

/// Reads all of a clip; an error is as good as a frame, a panic or a hang is not.
fn exhaust(path: &Path) {
    let start = std::time::Instant::now();
    if let Ok(clip) = Clip::open(path) {
        let mut count = 0;
        for frame in clip.frames() {
            count += 1;
            if frame.is_err() {
                break;
            }
        }
        assert!(count <= clip.info().frame_times.len() + 1);
        let _ = clip.frames_at(&[clip.info().end_s(), 0.0]);
    }
    assert!(start.elapsed().as_secs() < 60, "{}", path.display());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PERCEPT_DAMAGE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(150)
    ))]

    /// Bytes changed anywhere, files cut anywhere, numbers of the index replaced by extreme ones.
    #[test]
    fn mutated_files_end_in_frames_or_errors(
        which in 0_usize..6,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
        in_index in any::<bool>(),
    ) {
        let names = ["h264_bframes.mp4", "h264_vfr.mp4", "h264_trimmed.mp4", "h264_fragmented.mp4", "h264_crop.mp4", "vfr.gif"];
        let mut bytes = std::fs::read(folder().join(names[which])).unwrap();
        let moov = bytes.windows(4).position(|name| name == b"moov").unwrap_or(0);
        for (place, value, kind) in changes {
            let from = if in_index { moov } else { 0 };
            let at = from + place.index(bytes.len() - from);
            match kind {
                0 => bytes[at] = value,
                1 => bytes[at] ^= 1 << (value % 8),
                2 => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xFF),
                _ => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0),
            }
        }
        if let Some(cut) = cut {
            let length = cut.index(bytes.len());
            bytes.truncate(length);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        exhaust(file.path());
    }
}
