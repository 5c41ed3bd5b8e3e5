//! Small clips: folders of frames, and a project cut from them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses its part of this module"
)]

use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use percept_annotate::{ClipSource, Project, Times};
use serde_json::{Value, json};

/// A GIF of `frames` frames of a tenth of a second.
pub fn gif(path: &Path, frames: u8, size: (u32, u32)) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut encoder = image::codecs::gif::GifEncoder::new(file);
    for at in 0..frames {
        let shown = RgbImage::from_pixel(size.0, size.1, Rgb([at * 20, 90, 160]));
        let shown = image::DynamicImage::ImageRgb8(shown).into_rgba8();
        let delay = image::Delay::from_numer_denom_ms(100, 1);
        encoder
            .encode_frame(image::Frame::from_parts(shown, 0, 0, delay))
            .unwrap();
    }
}

/// A table of `count` pairs of clips with its clips.
pub fn table(folder: &Path, count: usize) -> PathBuf {
    let mut lines = "path_A,path_B,prompt,Overall\n".to_owned();
    for at in 0..count {
        gif(&folder.join(format!("one/{at}.gif")), 10, (64, 48));
        gif(&folder.join(format!("two/{at}.gif")), 8, (48, 64));
        lines += &format!("one/{at}.gif,two/{at}.gif,\"a dog, number {at}\",A\n");
    }
    let path = folder.join("pairs.csv");
    fs::write(&path, lines).unwrap();
    path
}

pub fn source(path: &Path) -> ClipSource {
    ClipSource {
        path: path.to_path_buf(),
        every_two: false,
        skip_missing: false,
        seed: 0,
    }
}

/// `count` frame pairs.
pub fn project(folder: &Path, count: usize) -> Project {
    let clips = source(&table(folder, count)).find().unwrap();
    Project::cut(
        &folder.join("out"),
        &clips.pairs,
        &Times::Even(1),
        &mut |_, _| {},
    )
    .unwrap()
}

/// An action of an annotator's own work.
pub fn action(id: &str, name: &str, pair: &str, change: Value) -> Value {
    json!({"id": id, "by": name, "pair": pair, "annotator": name, "do": change})
}
