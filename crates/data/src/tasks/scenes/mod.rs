//! `scenes`: pictures of shapes whose company is planted, and questions about what is in them.
//!
//! Two shapes are easy to see (the *leads*: a red square, a blue disc), six are faint. Each lead has
//! three *companions* among the faint ones. A picture shows one lead (with probability
//! 0.4 each) or none (0.2); each faint shape is there, independently of the others,
//!
//! | | with probability |
//! |---|---|
//! | when its lead is there | `cooccurrence` |
//! | when its lead is not | `1 − cooccurrence` |
//!
//! so that at `cooccurrence` 0.5 the lead says nothing of its companions, and near 1 a model that does
//! not see a companion yet does best to guess it from the lead, and has little reason left to learn to
//! see it: that is why models of photographs guess, planted and measured. The question is "Is there a ring in the image?" about
//! one of the faint shapes three times in four, else about a lead. Whether the answer is yes is drawn
//! first, and then pictures until one has such an answer: half of the answers are yes, whatever the
//! company.
//!
//! [`counterfactual`] makes the pairs of Causal-HalBench from the same world: the edit is the same
//! picture to the pixel but for one object, which no inpainting reaches.

mod draw;

use std::io::Cursor;

use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tasks::random::Random;
use crate::{Dataset, Error, Media, Message, Part, Role, Sample};

pub use draw::{HEIGHT, WIDTH};

/// What a picture can show; the first two are leads, then three companions of each.
pub const SHAPES: [&str; 8] = [
    "square", "disc", "ring", "cross", "triangle", "diamond", "bar", "star",
];
/// Shapes that are easy to see.
const LEADS: usize = 2;
/// Companions of each.
const COMPANIONS: usize = 3;
/// Share of pictures with one of the leads, each.
const LED: f32 = 0.4;
/// Share of questions about a lead.
const ABOUT_LEADS: f32 = 0.25;

/// Companions of a lead.
fn companions(lead: usize) -> std::ops::Range<usize> {
    let first = LEADS + lead * COMPANIONS;
    first..first + COMPANIONS
}

/// The knobs of [`Scenes`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScenesConfig {
    /// Other seeds give other pictures.
    pub seed: u64,
    /// Number of samples.
    pub len: usize,
    /// Probability that a companion is there when its lead is; 1 − this when it is not. 0.5: no
    /// company.
    pub cooccurrence: f32,
    /// Strength of the faint shapes against the ground, from 0 (invisible) to 1.
    pub contrast: f32,
}

impl Default for ScenesConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            len: 4096,
            cooccurrence: 0.5,
            contrast: 0.5,
        }
    }
}

impl ScenesConfig {
    fn check(&self) -> Result<(), Error> {
        let share = |x: f32| (0.0..=1.0).contains(&x);
        let wrong = |field: &str, found: String, expected: &str| {
            Err(Error::config("a scene cannot be made")
                .field(format!("scenes.{field}"))
                .found(found)
                .expected(expected))
        };
        if self.len == 0 {
            return wrong("len", "0".into(), "at least 1 sample");
        }
        if !share(self.cooccurrence) {
            return wrong("cooccurrence", self.cooccurrence.to_string(), "0 to 1");
        }
        if !(share(self.contrast) && self.contrast > 0.0) {
            let expected = "more than 0, at most 1";
            return wrong("contrast", self.contrast.to_string(), expected);
        }
        Ok(())
    }
}

/// The question about a shape, in the words of POPE.
pub fn question(shape: &str) -> String {
    format!("Is there a {shape} in the image?")
}

/// What a tokenizer needs for questions and answers.
pub fn corpus_pieces() -> Vec<String> {
    let mut pieces: Vec<String> = [
        "Is",
        " there",
        " a",
        " in",
        " the",
        " image",
        "?",
        "Yes",
        "No",
        ".",
        "\n",
        " ",
        "user",
        "assistant",
        "system",
    ]
    .map(str::to_owned)
    .to_vec();
    pieces.extend(SHAPES.map(|shape| format!(" {shape}")));
    pieces.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    pieces
}

/// The data set; see the [module](self).
///
/// ```
/// use percept_data::Dataset;
/// use percept_data::scenes::{Scenes, ScenesConfig};
///
/// let scenes = Scenes::new(ScenesConfig { cooccurrence: 0.95, ..ScenesConfig::default() })?;
/// let sample = scenes.get(3)?;
/// assert!(matches!(sample.answer.as_deref(), Some("yes" | "no")));
/// # Ok::<(), percept_data::Error>(())
/// ```
#[derive(Debug)]
pub struct Scenes {
    config: ScenesConfig,
}

impl Scenes {
    /// Fails on a configuration that cannot be drawn; the message names the field.
    pub fn new(config: ScenesConfig) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config })
    }
}

/// Which shapes a picture shows.
fn present(cooccurrence: f32, random: &mut Random) -> Vec<usize> {
    let drawn = random.unit();
    let lead = (0..LEADS).find(|&lead| drawn < LED * (lead + 1) as f32);
    let mut shapes: Vec<usize> = lead.into_iter().collect();
    for group in 0..LEADS {
        let probability = match lead == Some(group) {
            true => cooccurrence,
            false => 1.0 - cooccurrence,
        };
        shapes.extend(companions(group).filter(|_| random.unit() < probability));
    }
    shapes
}

/// A picture's shapes and the one that is asked about.
fn question_and_picture(cooccurrence: f32, random: &mut Random) -> (Vec<usize>, usize) {
    let kind = match random.unit() < ABOUT_LEADS {
        true => 0..LEADS,
        false => LEADS..SHAPES.len(),
    };
    let yes = random.below(2) == 0;
    loop {
        let shapes = present(cooccurrence, random);
        let fitting = kind.clone().filter(|shape| shapes.contains(shape) == yes);
        let fitting: Vec<usize> = fitting.collect();
        if !fitting.is_empty() {
            let asked = fitting[random.below(fitting.len())];
            return (shapes, asked);
        }
    }
}

impl Dataset for Scenes {
    fn len(&self) -> usize {
        self.config.len
    }

    fn name(&self) -> &str {
        "scenes"
    }

    fn get(&self, index: usize) -> Result<Sample, Error> {
        if index >= self.config.len {
            return Err(Error::row("no such sample")
                .field("scenes")
                .found(index)
                .expected(format!("0 to {}", self.config.len - 1)));
        }
        let mut random = Random::new(&[self.config.seed, 0, index as u64]);
        let (shapes, shape) = question_and_picture(self.config.cooccurrence, &mut random);
        let image = draw::Scene::new(shapes.clone(), &mut random).draw(self.config.contrast);
        let yes = shapes.contains(&shape);
        let names: Vec<&str> = shapes.iter().map(|&s| SHAPES[s]).collect();
        let meta = serde_json::json!({
            "data_source": "scenes",
            "shapes": names,
            "asked": SHAPES[shape],
        });
        let serde_json::Value::Object(meta) = meta else {
            unreachable!("json! of braces is an object")
        };
        let content = vec![Part::Image(0), Part::Text(question(SHAPES[shape]))];
        let turn = Message::new(Role::User, content);
        Ok(Sample {
            images: vec![Media::from_bytes(png(&image))],
            answer: Some(if yes { "yes" } else { "no" }.to_owned()),
            expert: Some(if yes { "Yes" } else { "No" }.to_owned()),
            meta,
            ..Sample::new(format!("scenes:{index}"), vec![turn])
        })
    }
}

/// A pair of pictures that differ in one object.
#[derive(Debug, Clone)]
pub struct Counterfactual {
    /// The picture with the lead, as PNG.
    pub original: Vec<u8>,
    /// The same with a faint shape of the other lead in its place, as PNG.
    pub edited: Vec<u8>,
    /// The lead, which is replaced.
    pub target: &'static str,
    /// Its one companion that is there, in both pictures.
    pub contextual: &'static str,
    /// What comes instead: it is usually seen with the other lead.
    pub counterfactual: &'static str,
    /// The lead's other companions, in neither picture.
    pub absent: [&'static str; 2],
}

/// Pair `index` of a seed; the shapes are as faint as in [`ScenesConfig::contrast`].
pub fn counterfactual(seed: u64, index: usize, contrast: f32) -> Counterfactual {
    let mut random = Random::new(&[seed, 1, index as u64]);
    let lead = random.below(LEADS);
    let mut own: Vec<usize> = companions(lead).collect();
    random.shuffle(&mut own);
    let others: Vec<usize> = companions(1 - lead).collect();
    let new = others[random.below(others.len())];
    let mut scene = draw::Scene::new(vec![lead, own[0]], &mut random);
    let original = png(&scene.draw(contrast));
    scene.replace(0, new);
    Counterfactual {
        original,
        edited: png(&scene.draw(contrast)),
        target: SHAPES[lead],
        contextual: SHAPES[own[0]],
        counterfactual: SHAPES[new],
        absent: [SHAPES[own[1]], SHAPES[own[2]]],
    }
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Sub);
    image
        .write_with_encoder(encoder)
        .expect("writing to memory does not fail, and an RGB image is valid PNG");
    bytes.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn companions_come_as_often_as_planted() {
        for cooccurrence in [0.5f32, 0.95] {
            let mut with = [0.0f64; 2];
            let mut without = [0.0f64; 2];
            for index in 0..20_000 {
                let mut random = Random::new(&[7, index]);
                let shapes = present(cooccurrence, &mut random);
                for lead in 0..LEADS {
                    let led = shapes.contains(&lead);
                    let count = if led { &mut with } else { &mut without };
                    for companion in companions(lead) {
                        count[0] += 1.0;
                        count[1] += f64::from(shapes.contains(&companion));
                    }
                }
            }
            let planted = f64::from(cooccurrence);
            assert!((with[1] / with[0] - planted).abs() < 0.01);
            assert!((without[1] / without[0] - (1.0 - planted)).abs() < 0.01);
            assert!((with[0] / (with[0] + without[0]) - f64::from(LED)).abs() < 0.01);
        }
    }

    #[test]
    fn half_of_the_answers_are_yes_and_all_are_true() {
        for cooccurrence in [0.0, 0.5, 0.95, 1.0] {
            let scenes = Scenes::new(ScenesConfig {
                len: 1000,
                cooccurrence,
                ..ScenesConfig::default()
            })
            .unwrap();
            let mut yes = 0;
            for index in 0..1000 {
                let sample = scenes.get(index).unwrap();
                let there = sample.meta["shapes"].as_array().unwrap();
                let truth = there.contains(&sample.meta["asked"]);
                assert_eq!(
                    sample.answer.as_deref(),
                    Some(if truth { "yes" } else { "no" })
                );
                yes += usize::from(truth);
            }
            assert!((450..=550).contains(&yes), "{yes}");
        }
    }

    #[test]
    fn an_edit_changes_one_place_and_the_same_index_gives_the_same_pair() {
        for index in 0..20 {
            let pair = counterfactual(3, index, 0.5);
            assert_eq!(pair.original, counterfactual(3, index, 0.5).original);
            let open = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().to_rgb8();
            let (a, b) = (open(&pair.original), open(&pair.edited));
            let changed: Vec<(u32, u32)> = a
                .enumerate_pixels()
                .filter(|(x, y, pixel)| b.get_pixel(*x, *y) != *pixel)
                .map(|(x, y, _)| (x, y))
                .collect();
            assert!(!changed.is_empty());
            let cell = |&(x, y): &(u32, u32)| (x / draw::CELL, y / draw::CELL);
            let first = cell(&changed[0]);
            assert!(changed.iter().all(|place| cell(place) == first));
            assert!(!pair.absent.contains(&pair.contextual));
        }
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let config = ScenesConfig {
            cooccurrence: 1.5,
            ..ScenesConfig::default()
        };
        let error = Scenes::new(config).unwrap_err().to_string();
        assert!(
            error.contains("scenes.cooccurrence") && error.contains("1.5"),
            "{error}"
        );
    }
}
