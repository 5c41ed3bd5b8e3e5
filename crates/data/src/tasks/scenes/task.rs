//! The samples of `scenes`.

use super::config::{Ask, ScenesConfig};
use super::describe::describe;
use super::draw;
use super::words::question;
use super::world::{LEADS, SHAPES, present};
use crate::tasks::png::png;
use crate::tasks::random::Random;
use crate::{Dataset, Error, Media, Message, Part, Role, Sample};

/// Share of questions about a lead.
const ABOUT_LEADS: f32 = 0.25;

/// The data set; see the [module](super).
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
        if self.config.ask != Ask::Presence {
            let preferred = self.config.ask == Ask::Preference;
            return Ok(describe(&self.config, index, preferred));
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

#[cfg(test)]
mod tests {
    use super::*;

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
