//! The world as files: frames with their rows, and clips with their pairs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use image::codecs::gif::{GifEncoder, Repeat};
use rayon::prelude::*;

use super::clip::{Clip, Side, better_clip, clip};
use super::config::CrawlersConfig;
use super::rows::frame;
use crate::Error;
use crate::tasks::png::png;

/// Rows that are drawn before they are written: memory is bounded whatever the number.
const AT_ONCE: usize = 256;

fn disk(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |e| Error::file(format!("cannot be written: {e}")).in_file(&path)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    percept_base::files::write_atomic(path, bytes).map_err(|e| Error::file(e.to_string()))
}

fn folder(dir: &Path, name: &str) -> Result<(), Error> {
    let path = dir.join(name);
    fs::create_dir_all(&path).map_err(disk(&path))
}

/// Writes `data.jsonl` and `images/`: `rows` labelled frames, two rows a pair.
///
/// # Errors
/// [`Error::File`] when the disk refuses, [`Error::Config`] for a configuration that cannot be drawn.
pub fn export_frames(config: &CrawlersConfig, rows: usize, dir: &Path) -> Result<PathBuf, Error> {
    folder(dir, "images")?;
    let path = dir.join("data.jsonl");
    let mut lines = Vec::new();
    for first in (0..rows).step_by(AT_ONCE) {
        let some = first..rows.min(first + AT_ONCE);
        let drawn: Result<Vec<String>, Error> = some
            .into_par_iter()
            .map(|index| {
                let drawn = frame(config, index)?;
                let picture = dir.join(&drawn.row.images[0]);
                fs::write(&picture, png(&drawn.image)).map_err(disk(&picture))?;
                serde_json::to_string(&drawn.row).map_err(|e| disk(&path)(e.into()))
            })
            .collect();
        for line in drawn? {
            writeln!(lines, "{line}").map_err(disk(&path))?;
        }
    }
    write(&path, &lines)?;
    Ok(path)
}

/// Writes `pairs.csv` (`path_A`, `path_B`, `prompt`, `preference`, …) and the clips as animated GIF under `videos/`.
///
/// # Errors
/// As [`export_frames`].
pub fn export_clips(config: &CrawlersConfig, pairs: usize, dir: &Path) -> Result<PathBuf, Error> {
    folder(dir, "videos")?;
    let path = dir.join("pairs.csv");
    let mut table =
        String::from("path_A,path_B,A_model,B_model,prompt,preference,labels_A,labels_B\n");
    let drawn: Result<Vec<String>, Error> = (0..pairs)
        .into_par_iter()
        .map(|index| {
            let a = clip(config, index, Side::A)?;
            let b = clip(config, index, Side::B)?;
            let mut names = Vec::new();
            for (side, shown) in [(Side::A, &a), (Side::B, &b)] {
                let name = format!("videos/{index:06}-{}.gif", side.name());
                let file = dir.join(&name);
                fs::write(&file, gif(shown, config, &file)?).map_err(disk(&file))?;
                names.push(name);
            }
            // None of these has a comma or a quote in it.
            Ok(format!(
                "{},{},A,B,{},{},{:.3},{:.3}\n",
                names[0],
                names[1],
                a.prompt(),
                better_clip(&a, &b),
                a.burden(),
                b.burden()
            ))
        })
        .collect();
    table.extend(drawn?);
    write(&path, table.as_bytes())?;
    Ok(path)
}

fn gif(clip: &Clip, config: &CrawlersConfig, path: &Path) -> Result<Vec<u8>, Error> {
    let refused = |e: image::ImageError| Error::media(format!("no GIF: {e}")).in_file(path);
    let mut bytes = Vec::new();
    // Pictures of few colours: the fastest palette search loses nothing that is seen.
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    encoder.set_repeat(Repeat::Infinite).map_err(refused)?;
    let hundredths = (100.0 / config.fps).round() as u32;
    for time in clip.times() {
        let picture = image::DynamicImage::ImageRgb8(clip.image(time)).to_rgba8();
        let delay = image::Delay::from_numer_denom_ms(hundredths * 10, 1);
        let frame = image::Frame::from_parts(picture, 0, 0, delay);
        encoder.encode_frame(frame).map_err(refused)?;
    }
    drop(encoder);
    Ok(bytes)
}
