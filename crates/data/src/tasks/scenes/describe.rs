//! Descriptions of scenes, and preferences among them.

use super::config::ScenesConfig;
use super::draw;
use super::words::{DESCRIBE, description};
use super::world::{LEADS, SHAPES, companions, present};
use crate::tasks::png::png;
use crate::tasks::random::Random;
use crate::{Media, Message, Part, Preference, Role, Sample};

/// Numbers that tell these streams from those of other questions.
const STREAM: u64 = 2;

/// A picture and its description; as a preference where `preferred`.
pub(super) fn describe(config: &ScenesConfig, index: usize, preferred: bool) -> Sample {
    let mut random = Random::new(&[config.seed, STREAM, index as u64]);
    let mut shapes = present(config.cooccurrence, &mut random);
    while preferred && shapes.is_empty() {
        shapes = present(config.cooccurrence, &mut random);
    }
    let scene = draw::Scene::new(shapes.clone(), &mut random);
    let names = |shapes: &[usize]| -> Vec<&str> { shapes.iter().map(|&s| SHAPES[s]).collect() };
    let truth = description(&names(&shapes));
    let content = vec![Part::Image(0), Part::Text(DESCRIBE.to_owned())];
    let mut sample = Sample::new(
        format!("scenes:{index}"),
        vec![Message::new(Role::User, content)],
    );
    sample.images = vec![Media::from_bytes(png(&scene.draw(config.contrast)))];
    sample.meta.insert("data_source".into(), "scenes".into());
    sample.meta.insert("shapes".into(), names(&shapes).into());
    if !preferred {
        let mut named = lacking(&shapes);
        named.retain(|_| random.unit() < config.hallucination);
        if config.hallucination > 0.0 {
            sample.meta.insert("planted".into(), names(&named).into());
        }
        named.extend(&shapes);
        named.sort_unstable();
        sample.expert = Some(description(&names(&named)));
        return sample;
    }
    let planted = planted(&shapes, &mut random);
    let mut claimed = shapes.clone();
    claimed.push(planted);
    claimed.sort_unstable();
    let lost = random.below(shapes.len());
    let mut without = scene;
    without.remove(lost);
    let answer = |text: String| vec![Message::text(Role::Assistant, text)];
    sample.preference = Some(Preference {
        chosen: answer(truth),
        rejected: vec![answer(description(&names(&claimed)))],
        rejected_images: vec![vec![Media::from_bytes(png(&without.draw(config.contrast)))]],
        ..Preference::default()
    });
    sample.meta.insert("planted".into(), SHAPES[planted].into());
    sample
        .meta
        .insert("removed".into(), SHAPES[shapes[lost]].into());
    sample
}

/// A shape that is not there: a companion of the lead where one is missing, else any; one is always missing, since
/// a picture shows at most one lead.
fn planted(shapes: &[usize], random: &mut Random) -> usize {
    let absent = |shape: &usize| !shapes.contains(shape);
    let company = lacking(shapes);
    let any: Vec<usize> = (0..SHAPES.len()).filter(absent).collect();
    let from = if company.is_empty() { any } else { company };
    from[random.below(from.len())]
}

/// Companions that the lead of a picture lacks; none without a lead.
fn lacking(shapes: &[usize]) -> Vec<usize> {
    let lead = shapes.iter().copied().find(|&shape| shape < LEADS);
    let company = lead.map_or(0..0, companions);
    company.filter(|shape| !shapes.contains(shape)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Ask, Scenes};
    use super::*;
    use crate::Dataset;

    fn scenes(ask: Ask) -> Scenes {
        Scenes::new(ScenesConfig {
            len: 300,
            ask,
            cooccurrence: 0.7,
            ..ScenesConfig::default()
        })
        .unwrap()
    }

    fn named(text: &str) -> Vec<&str> {
        SHAPES.into_iter().filter(|s| text.contains(s)).collect()
    }

    #[test]
    fn a_description_names_what_is_there_and_nothing_else() {
        let scenes = scenes(Ask::Description);
        for index in 0..300 {
            let sample = scenes.get(index).unwrap();
            let there: Vec<String> = serde_json::from_value(sample.meta["shapes"].clone()).unwrap();
            assert_eq!(named(&sample.expert.unwrap()), there);
        }
        assert_eq!(description(&[]), "There is nothing.");
        assert_eq!(description(&["bar"]), "There is a bar.");
        let three = description(&["disc", "bar", "star"]);
        assert_eq!(three, "There is a disc, a bar and a star.");
    }

    #[test]
    fn company_that_is_not_there_is_named_as_often_as_asked_and_pictures_stay() {
        let honest = scenes(Ask::Description);
        let lying = Scenes::new(ScenesConfig {
            len: 300,
            ask: Ask::Description,
            cooccurrence: 0.7,
            hallucination: 0.4,
            ..ScenesConfig::default()
        })
        .unwrap();
        let (mut planted, mut could) = (0, 0);
        for index in 0..300 {
            let (sample, plain) = (lying.get(index).unwrap(), honest.get(index).unwrap());
            assert_eq!(
                sample.images[0].encoded().unwrap(),
                plain.images[0].encoded().unwrap()
            );
            let list = |name: &str| -> Vec<String> {
                serde_json::from_value(sample.meta[name].clone()).unwrap()
            };
            let (there, added) = (list("shapes"), list("planted"));
            let said = sample.expert.unwrap();
            let mut expected: Vec<&str> = SHAPES
                .into_iter()
                .filter(|&s| there.iter().chain(&added).any(|name| name == s))
                .collect();
            expected.sort_by_key(|name| SHAPES.iter().position(|s| s == name));
            assert_eq!(named(&said), expected);
            let place = |name: &String| SHAPES.iter().position(|s| s == name).unwrap();
            could += lacking(&there.iter().map(place).collect::<Vec<_>>()).len();
            planted += added.len();
        }
        let share = planted as f64 / could as f64;
        assert!((share - 0.4).abs() < 0.1, "{share}");
    }

    #[test]
    fn a_rejected_description_names_one_shape_more_and_a_rejected_picture_shows_one_less() {
        let scenes = scenes(Ask::Preference);
        let mut planted_company = 0;
        for index in 0..300 {
            let sample = scenes.get(index).unwrap();
            let pair = sample.preference.unwrap();
            let texts = [&pair.chosen, &pair.rejected[0]].map(|turns| turns[0].plain_text());
            let [chosen, rejected] = [0, 1].map(|i| named(&texts[i]));
            let planted = sample.meta["planted"].as_str().unwrap();
            let more: Vec<&str> = rejected
                .iter()
                .copied()
                .filter(|s| !chosen.contains(s))
                .collect();
            assert_eq!((rejected.len(), more), (chosen.len() + 1, vec![planted]));
            let removed = sample.meta["removed"].as_str().unwrap();
            assert!(chosen.contains(&removed));
            let pixels = |media: &Media| media.decode().unwrap();
            let (real, lost) = (
                pixels(&sample.images[0]),
                pixels(&pair.rejected_images[0][0]),
            );
            let changed: Vec<(u32, u32)> = real
                .enumerate_pixels()
                .filter(|(x, y, pixel)| lost.get_pixel(*x, *y) != *pixel)
                .map(|(x, y, _)| (x / draw::CELL, y / draw::CELL))
                .collect();
            assert!(!changed.is_empty() && changed.iter().all(|cell| *cell == changed[0]));
            planted_company += usize::from(chosen.iter().any(|s| {
                let lead = SHAPES[..LEADS].iter().position(|l| l == s);
                lead.is_some_and(|l| SHAPES[companions(l)].contains(&planted))
            }));
        }
        assert!(planted_company > 100, "{planted_company}");
    }
}
