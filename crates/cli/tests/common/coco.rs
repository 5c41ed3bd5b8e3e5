//! Drawn images with COCO annotations, and building a benchmark from them.

use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use percept_data::coco::Mask;
use serde_json::{Value, json};

use super::{Outcome, percept, run, write};

/// Some of COCO's classes.
pub const CLASSES: [&str; 14] = [
    "person", "skis", "backpack", "bear", "cat", "cow", "cup", "bowl", "tie", "car", "bus", "bed",
    "clock", "vase",
];

/// Red and green of a class.
pub fn colour(class: usize) -> [u8; 2] {
    [class as u8 * 17, 200 - class as u8 * 9]
}

/// Images of 240 × 180: a slope of colours with two or three discs, each a class with its colour.
pub fn images(folder: &Path, count: u32, ending: &str) -> PathBuf {
    images_of(&CLASSES, folder, count, ending)
}

/// The same with other names.
pub fn images_of(classes: &[&str], folder: &Path, count: u32, ending: &str) -> PathBuf {
    let (mut listed, mut annotations) = (Vec::new(), Vec::new());
    for image in 0..count {
        let mut picture = RgbImage::from_fn(240, 180, |x, y| {
            Rgb([
                (x / 2) as u8 + 40,
                (y / 2) as u8 + 60,
                90 + (image * 9 % 50) as u8,
            ])
        });
        for place in 0..2 + image % 2 {
            // Neighbours in the list of classes stand together, the others do not.
            let class = (image + place) as usize % classes.len();
            let (cx, cy) = (45.0 + 75.0 * f64::from(place), 85.0);
            let radius = 20.0 + f64::from(image % 5);
            let polygon: Vec<f64> = (0..24)
                .flat_map(|k| {
                    let angle = f64::from(k) * std::f64::consts::TAU / 24.0;
                    [cx + radius * angle.cos(), cy + radius * angle.sin()]
                })
                .collect();
            let mask = Mask::from_polygons(std::slice::from_ref(&polygon), 240, 180).unwrap();
            for (x, y) in mask.pixels() {
                let [red, green] = colour(class);
                picture.put_pixel(x, y, Rgb([red, green, ((x * 7 + y * 5) % 32) as u8 * 6]));
            }
            annotations.push(
                json!({"id": annotations.len() + 1, "image_id": image, "category_id": class,
                "iscrowd": 0, "area": mask.area(), "segmentation": [polygon],
                "bbox": [cx - radius, cy - radius, 2.0 * radius, 2.0 * radius]}),
            );
        }
        let name = format!("{image:04}.{ending}");
        fs::create_dir_all(folder.join("images")).unwrap();
        picture.save(folder.join("images").join(&name)).unwrap();
        listed.push(json!({"id": image, "file_name": name, "width": 240, "height": 180}));
    }
    let categories: Vec<Value> = (classes.iter().enumerate())
        .map(|(id, name)| json!({"id": id, "name": name}))
        .collect();
    let file = folder.join("instances.json");
    let all = json!({"images": listed, "annotations": annotations, "categories": categories});
    write(&file, all.to_string());
    file
}

/// `halbench build` of these images.
pub fn arguments(folder: &Path, out: &Path) -> Vec<String> {
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let (images, annotations) = (
        text(folder.join("images")),
        text(folder.join("instances.json")),
    );
    [
        "halbench",
        "build",
        "--images",
        &images,
        "--annotations",
        &annotations,
        "--out",
    ]
    .map(String::from)
    .into_iter()
    .chain([text(out.to_owned())])
    .collect()
}

/// Runs it.
pub fn build(folder: &Path, out: &Path, more: &[&str]) -> Outcome {
    let mut arguments = arguments(folder, out);
    arguments.extend(more.iter().map(|word| word.to_string()));
    run(percept(&arguments))
}

/// What a step wrote.
pub fn rows(out: &Path, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(out.join("steps").join(file)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
