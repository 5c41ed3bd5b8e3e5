//! Conversations of the golden cases as samples.

#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use image::RgbImage;
use percept_data::{Media, Message, Part, Role, Sample, Video};
use serde_json::Value;

/// The picture of tools/image_goldens.py.
pub fn picture(width: u32, height: u32, seed: i64) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (i64::from(x), i64::from(y));
        image::Rgb(std::array::from_fn(|c| {
            let c = c as i64;
            let mixed = x * 7919 + y * 104_729 + c * 1_299_709 + seed * 15_485_863;
            let level = match (x / 31 + y / 23) % 3 {
                0 => (x * (3 + c) + y * (5 - c) + seed * 17) % 256,
                1 => 255 * ((x / 9 + y / 7 + c + 1) % 2),
                _ => ((mixed * mixed) >> 7) % 256,
            };
            level as u8
        }))
    })
}

/// A part of a turn; its medium goes into the sample.
pub fn part(value: &Value, sample: &mut Sample) -> Part {
    let number = |field: &str| value[field].as_i64().unwrap();
    let picture = |seed| picture(number("width") as u32, number("height") as u32, seed);
    match value["type"].as_str().unwrap() {
        "image" => {
            sample
                .images
                .push(Media::from_image(picture(number("seed"))));
            Part::Image(sample.images.len() - 1)
        }
        "video" => {
            let frames = (0..number("frames")).map(|i| picture(number("seed") + i));
            sample.videos.push(Video {
                frames: frames.map(Media::from_image).collect(),
                fps: value["fps"].as_f64().unwrap() as f32,
            });
            Part::Video(sample.videos.len() - 1)
        }
        _ => Part::Text(value["text"].as_str().unwrap().to_owned()),
    }
}

pub fn role(name: &str) -> Role {
    match name {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => Role::Tool,
    }
}

pub fn sample(case: &Value) -> Sample {
    let mut sample = Sample::new(case["name"].as_str().unwrap(), Vec::new());
    for turn in case["messages"].as_array().unwrap() {
        let content = match &turn["content"] {
            Value::String(text) => vec![Part::Text(text.clone())],
            parts => {
                let parts = parts.as_array().unwrap();
                parts.iter().map(|p| part(p, &mut sample)).collect()
            }
        };
        let role = role(turn["role"].as_str().unwrap());
        sample.messages.push(Message::new(role, content));
    }
    sample
}
