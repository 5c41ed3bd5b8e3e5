//! A clip of the world: what it shows at any time, and what is wrong with it.

use image::RgbImage;
use percept_frames::{Distortion, LabelledBox, Preference};

use super::body::{Body, body};
use super::config::CrawlersConfig;
use super::draw::{HEIGHT, WIDTH, draw};
use super::pose::{Actor, Take, pose};
use super::story::Story;
use crate::Error;
use crate::tasks::random::Random;

/// Streams of random numbers.
const ACTOR: u64 = 10;
const TAKE: u64 = 11;
const GRAIN: u64 = 12;

/// Labels on the mean frame by which two clips must differ for one to be better.
const MARGIN: f64 = 0.1;

/// Whose clip of a pair it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first generator's.
    A,
    /// The second's.
    B,
}

impl Side {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }
}

/// A clip; frames are drawn when they are asked for.
#[derive(Debug, Clone)]
pub struct Clip {
    config: CrawlersConfig,
    actor: Actor,
    take: Take,
    pub(super) story: Story,
    /// Seed, pair, side: what its noise is drawn from.
    key: [u64; 3],
}

/// One side of pair `index`.
///
/// ```
/// use percept_data::crawlers::{CrawlersConfig, Side, clip};
///
/// let a = clip(&CrawlersConfig::default(), 3, Side::A)?;
/// assert_eq!((a.image(1.5).width(), a.image(1.5).height()), (112, 56));
/// # Ok::<(), percept_data::Error>(())
/// ```
pub fn clip(config: &CrawlersConfig, index: usize, side: Side) -> Result<Clip, Error> {
    config.check()?;
    let key = [config.seed, index as u64, side as u64];
    let actor = Actor::new(config, &mut Random::new(&[ACTOR, key[0], key[1]]));
    let mut own = Random::new(&[TAKE, key[0], key[1], key[2]]);
    Ok(Clip {
        take: Take::new(config, &mut own),
        story: Story::new(config, &mut own),
        config: config.clone(),
        actor,
        key,
    })
}

impl Clip {
    /// What the generators were asked for.
    pub fn prompt(&self) -> String {
        self.actor.prompt()
    }

    /// The thing on the creature's back.
    pub(super) fn thing(&self) -> &'static str {
        super::pose::THINGS[self.actor.thing].0
    }

    /// When its frames appear, in seconds.
    pub fn times(&self) -> impl Iterator<Item = f64> {
        (0..self.config.frames()).map(|frame| frame as f64 / self.config.fps)
    }

    /// What is wrong at this time, in the taxonomy's order.
    pub fn labels(&self, time_s: f64) -> Vec<Distortion> {
        self.story.labels(time_s)
    }

    /// Where, in pixels.
    pub fn boxes(&self, time_s: f64) -> Vec<LabelledBox> {
        let seen = self.labels(time_s);
        let scale = self.config.scale as f32;
        let mut faults = self.body(time_s).faults;
        faults.sort_by_key(|(label, _)| *label);
        let boxes = faults.into_iter().filter(|(label, _)| seen.contains(label));
        boxes
            .map(|(label, [left, top, right, bottom])| {
                let low =
                    |at: f32, limit: f32| f64::from((at.clamp(0.0, limit - 1.0) * scale).floor());
                let high = |at: f32, limit: f32| f64::from((at.clamp(1.0, limit) * scale).ceil());
                let corner = [low(left, WIDTH), low(top, HEIGHT)];
                LabelledBox {
                    label,
                    corners: [
                        corner[0],
                        corner[1],
                        high(right, WIDTH).max(corner[0] + 1.0),
                        high(bottom, HEIGHT).max(corner[1] + 1.0),
                    ],
                }
            })
            .collect()
    }

    /// The frame at this time.
    pub fn image(&self, time_s: f64) -> RgbImage {
        let Body { parts, smear, .. } = self.body(time_s);
        let [seed, index, side] = self.key;
        let grain = [GRAIN, seed, index, side, time_s.to_bits()];
        draw(&self.actor.stage, &parts, smear, self.config.scale, &grain)
    }

    /// Labels on the mean frame: less is better.
    pub fn burden(&self) -> f64 {
        let labels: usize = self.times().map(|time| self.labels(time).len()).sum();
        labels as f64 / self.config.frames() as f64
    }

    fn body(&self, time_s: f64) -> Body {
        let part = (time_s / self.config.duration_s) as f32;
        let pose = pose(&self.actor, &self.take, part, time_s as f32);
        body(&self.actor, &self.take, &pose, |label| {
            self.story.severity(label, time_s) as f32
        })
    }
}

/// Which of two clips is better: the one with fewer labels on the mean frame, unless both have about as many.
pub(super) fn better_clip(a: &Clip, b: &Clip) -> Preference {
    let difference = a.burden() - b.burden();
    if difference.abs() < MARGIN {
        return Preference::Tie;
    }
    if difference < 0.0 {
        Preference::A
    } else {
        Preference::B
    }
}

/// Which of two frames is better: the one with fewer labels.
pub(super) fn better_frame(a: usize, b: usize) -> Preference {
    match a.cmp(&b) {
        std::cmp::Ordering::Less => Preference::A,
        std::cmp::Ordering::Equal => Preference::Tie,
        std::cmp::Ordering::Greater => Preference::B,
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::VISIBLE;
    use super::*;

    fn sides(config: &CrawlersConfig, index: usize) -> [Clip; 2] {
        [Side::A, Side::B].map(|side| clip(config, index, side).unwrap())
    }

    #[test]
    fn a_clip_is_a_function_of_its_seed_and_index_and_a_pair_shares_its_prompt() {
        let config = CrawlersConfig::default();
        for index in 0..20 {
            let [a, b] = sides(&config, index);
            assert_eq!(a.prompt(), b.prompt());
            assert_eq!(a.image(1.0), sides(&config, index)[0].image(1.0));
            assert_ne!(a.image(1.0), b.image(1.0));
        }
    }

    #[test]
    fn boxes_are_those_of_the_labels_and_inside_the_frame() {
        for difficulty in [0.0, 1.0] {
            let config = CrawlersConfig {
                difficulty,
                scale: 2,
                ..CrawlersConfig::default()
            };
            for index in 0..200 {
                let [a, _] = sides(&config, index);
                for time in a.times().step_by(7) {
                    let boxes = a.boxes(time);
                    let named: Vec<Distortion> = boxes.iter().map(|found| found.label).collect();
                    assert_eq!(named, a.labels(time));
                    for found in boxes {
                        found.check(224, 112).unwrap();
                    }
                }
            }
        }
    }

    /// The difference that a label makes is where its box says, and large enough to be seen.
    #[test]
    fn a_fault_changes_the_picture_inside_its_box_and_nowhere_else() {
        let config = CrawlersConfig::default();
        let mut checked = std::collections::BTreeMap::new();
        for index in 0..200 {
            let [a, _] = sides(&config, index);
            for time in a.times().step_by(5) {
                let [label] = a.labels(time)[..] else {
                    continue;
                };
                // Another fault may be there and too small for a label.
                let others = Distortion::ALL.into_iter().filter(|other| *other != label);
                if others
                    .map(|other| a.story.severity(other, time))
                    .any(|s| s > 0.0)
                {
                    continue;
                }
                let mut sound = a.clone();
                sound.story.0.clear();
                let found = a.boxes(time)[0].corners;
                let (bad, good) = (a.image(time), sound.image(time));
                let mut inside = 0u32;
                for (x, y, pixel) in bad.enumerate_pixels() {
                    let apart = pixel.0.iter().zip(good.get_pixel(x, y).0);
                    let apart = apart.map(|(p, q)| p.abs_diff(q)).max().unwrap();
                    // The mean of nine equal copies may be rounded otherwise.
                    if apart <= 1 {
                        continue;
                    }
                    let (x, y) = (f64::from(x), f64::from(y));
                    // A pixel of soft edge around a shape; what is behind a shape's old place is beside its new one.
                    let near = found[0] - 14.0 <= x
                        && x <= found[2] + 14.0
                        && found[1] - 14.0 <= y
                        && y <= found[3] + 14.0;
                    assert!(near, "{label} of pair {index} at {time} s: {x}, {y}");
                    inside += u32::from(apart > 40);
                }
                if a.story.severity(label, time) > 0.6 {
                    assert!(
                        inside >= 12,
                        "{label} of pair {index} at {time} s: {inside} pixels"
                    );
                    *checked.entry(label).or_insert(0) += 1;
                }
            }
        }
        assert!(checked.len() == 8, "{checked:?}");
    }

    #[test]
    fn half_of_the_faults_are_brief_and_a_label_lasts_as_long_as_its_fault_is_visible() {
        let config = CrawlersConfig {
            fps: 50.0,
            ..CrawlersConfig::default()
        };
        let (mut brief, mut all) = (0, 0);
        for index in 0..300 {
            for side in sides(&config, index) {
                for event in &side.story.0 {
                    all += 1;
                    let (from, to) = event.visible();
                    brief += u32::from(to - from < 0.6);
                    let middle = f64::midpoint(event.start_s, event.end_s);
                    assert!(side.labels(middle).contains(&event.label));
                    let overlap = side
                        .story
                        .0
                        .iter()
                        .filter(|e| e.label == event.label)
                        .count();
                    if overlap == 1 {
                        assert!(!side.labels(from - 0.01).contains(&event.label));
                        assert!(side.labels(from + 0.01).contains(&event.label));
                        assert!(!side.labels(to + 0.01).contains(&event.label));
                    }
                }
            }
        }
        assert!(
            (0.45..0.55).contains(&(f64::from(brief) / f64::from(all))),
            "{brief} of {all}"
        );
        assert!(all > 800);
    }

    #[test]
    fn the_better_clip_has_less_wrong_with_it_and_neither_side_is_favoured() {
        let config = CrawlersConfig::default();
        let mut counts = [0u32; 3];
        for index in 0..600 {
            let [a, b] = sides(&config, index);
            let better = better_clip(&a, &b);
            counts[better as usize] += 1;
            match better {
                Preference::A => assert!(a.burden() < b.burden()),
                Preference::B => assert!(b.burden() < a.burden()),
                Preference::Tie => assert!((a.burden() - b.burden()).abs() < MARGIN),
            }
        }
        assert!(counts[0].abs_diff(counts[1]) < 80, "{counts:?}");
        assert!(counts.iter().all(|&count| count > 100), "{counts:?}");
    }

    #[test]
    fn the_threshold_of_a_label_is_that_of_the_documentation() {
        let config = CrawlersConfig::default();
        let [a, b] = sides(&config, 0);
        for side in [a, b] {
            for time in side.times() {
                for label in Distortion::ALL {
                    let there = side.story.severity(label, time) >= VISIBLE;
                    assert_eq!(side.labels(time).contains(&label), there);
                }
            }
        }
    }
}
