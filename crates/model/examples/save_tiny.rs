//! Writes the built-in small model with fresh weights, and what its processor makes of some
//! prompts; tools/check_processor.py compares both with transformers.
//!
//! `cargo run --release -p percept-model --example save_tiny -- DIR`

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use percept_data::digit_sum::{DigitSum, DigitSumConfig};
use percept_data::{Dataset, Media, Message, Part, Role, Sample, Video};
use percept_model::{Device, Model, Processor, SaveDtype, TinyConfig};
use serde_json::{Value, json};

/// A picture of whole numbers.
fn picture(width: u32, height: u32, seed: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb(std::array::from_fn(|c| {
            let c = c as u32;
            ((x * (3 + c) + y * (5 - c) + seed * 17) ^ (x / 9 * 40)) as u8
        }))
    })
}

fn user(content: Vec<Part>) -> Message {
    Message::new(Role::User, content)
}

/// Two images, a video of three frames, several turns; in the words of the built-in task.
fn mixed() -> Vec<Sample> {
    let text = |words: &str| Part::Text(words.to_owned());
    let image = |w, h, seed| Media::from_image(picture(w, h, seed));
    let mut two = Sample::new(
        "two images",
        vec![
            Message::text(Role::System, "You are a helpful assistant"),
            user(vec![Part::Image(0), text("1 + 2 ="), Part::Image(1)]),
        ],
    );
    two.images = vec![image(112, 56, 1), image(33, 70, 2)];
    let mut video = Sample::new(
        "video",
        vec![user(vec![Part::Video(0), text(" 3 4\n"), Part::Image(0)])],
    );
    video.images = vec![image(28, 14, 3)];
    video.videos = vec![Video {
        frames: (4..7).map(|seed| image(45, 30, seed)).collect(),
        fps: 1.5,
    }];
    let turns = Sample::new(
        "text",
        vec![
            Message::text(Role::User, "1 + 2 = ? zebra é"),
            Message::text(Role::Assistant, "<think> 3</think> \\boxed{3}"),
            Message::text(Role::User, " Count 5"),
        ],
    );
    vec![two, video, turns]
}

/// The conversation with its pictures as files, for transformers.
fn conversation(sample: &Sample, dir: &Path, row: usize) -> Result<Value, Box<dyn Error>> {
    let save = |media: &Media, name: String| -> Result<PathBuf, Box<dyn Error>> {
        let path = dir.join(name);
        media.decode()?.save(&path)?;
        Ok(path)
    };
    let mut turns = Vec::new();
    for message in &sample.messages {
        let mut parts = Vec::new();
        for part in &message.content {
            parts.push(match part {
                Part::Text(text) => json!({"type": "text", "text": text}),
                Part::Image(i) => {
                    let path = save(&sample.images[*i], format!("{row}-image-{i}.png"))?;
                    json!({"type": "image", "path": path})
                }
                Part::Video(i) => {
                    let video = &sample.videos[*i];
                    let mut paths = Vec::new();
                    for (f, frame) in video.frames.iter().enumerate() {
                        paths.push(save(frame, format!("{row}-video-{i}-{f}.png"))?);
                    }
                    json!({"type": "video", "paths": paths, "fps": video.fps})
                }
            });
        }
        turns.push(json!({"role": message.role.as_str(), "content": parts}));
    }
    Ok(turns.into())
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("usage: save_tiny DIR")?);
    let cases = dir.join("cases");
    fs::create_dir_all(&cases)?;
    let tiny = TinyConfig::default();
    let processor = Processor::tiny(&tiny)?;
    let model = Model::init(tiny.for_processor(&processor)?, 0, &Device::flex())?;
    model.save(&dir, SaveDtype::F32)?;
    processor.save(&dir)?;

    let digits = DigitSum::new(DigitSumConfig {
        len: 20,
        ..DigitSumConfig::default()
    })?;
    let mut samples = mixed();
    for row in 0..digits.len() {
        samples.push(digits.get(row)?);
    }
    let mut out = Vec::new();
    for (row, sample) in samples.iter().enumerate() {
        let prompt = processor.prompt(sample)?;
        let pixels: Vec<_> = prompt.vision.iter().map(|p| &p.pixels).collect();
        let mut case = json!({
            "id": sample.id,
            "messages": conversation(sample, &cases, row)?,
            "text": prompt.text,
            "tokens": prompt.tokens,
            "positions": prompt.positions,
            "next_position": prompt.next_position,
            "pixels": pixels,
            "decoded": processor.decode(&prompt.tokens),
        });
        if let Some(expert) = &sample.expert {
            case["expert"] = json!({"text": expert, "tokens": processor.encode(expert)?});
        }
        out.push(case);
    }
    fs::write(cases.join("cases.json"), json!(out).to_string())?;
    println!("{}: {} prompts", dir.display(), out.len());
    Ok(())
}
