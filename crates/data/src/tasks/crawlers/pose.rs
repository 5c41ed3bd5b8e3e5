//! Who walks in a clip, and where its parts are at a time.

use super::config::CrawlersConfig;
use super::draw::{Colour, HEIGHT, Stage, WIDTH};
use crate::tasks::random::Random;

/// Species: name, colour of the torso, radii of the torso.
pub(super) const SPECIES: [(&str, Colour, [f32; 2]); 4] = [
    ("red beetle", [215.0, 40.0, 40.0], [20.0, 8.0]),
    ("green lizard", [40.0, 170.0, 60.0], [22.0, 7.0]),
    ("blue mole", [50.0, 80.0, 220.0], [19.0, 8.5]),
    ("brown crab", [165.0, 95.0, 40.0], [21.0, 7.5]),
];
/// Things: name, colour, radii, power of the outline.
pub(super) const THINGS: [(&str, Colour, [f32; 2], f32); 3] = [
    ("box", [240.0, 205.0, 30.0], [6.5, 5.5], 8.0),
    ("ball", [250.0, 250.0, 250.0], [5.8, 5.8], 2.0),
    ("crate", [20.0, 200.0, 210.0], [7.0, 4.5], 8.0),
];
/// How it goes: word, steps a second.
pub(super) const GAITS: [(&str, f32); 2] = [("walks", 0.8), ("runs", 1.6)];
/// From floor to hip.
const LEG: f32 = 13.0;

/// What both clips of a pair show.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub(super) species: usize,
    pub(super) thing: usize,
    gait: usize,
    /// Differences of its colours from the species' and the thing's.
    pub(super) hue: Colour,
    pub(super) stage: Stage,
    /// Where it is in the middle of the clip.
    middle: f32,
    /// Units that it walks in a clip.
    travel: f32,
    /// Size against the species'.
    pub(super) size: f32,
}

impl Actor {
    /// Who pair `index` shows.
    pub(super) fn new(config: &CrawlersConfig, random: &mut Random) -> Self {
        let d = config.difficulty;
        let mut near = |spread: f32| random.range(-spread, spread);
        let hue = [near(60.0 * d), near(60.0 * d), near(60.0 * d)];
        let tint = [(); 3].map(|()| near(4.0 + 14.0 * d));
        let floor = HEIGHT - 7.0 + near(2.0 * d);
        let middle = WIDTH / 2.0 - 4.0 + near(10.0 * d);
        let travel = 4.0 + 16.0 * d;
        let size = 1.0 - 0.15 * d + near(0.15 * d);
        Self {
            species: random.below(SPECIES.len()),
            thing: random.below(THINGS.len()),
            gait: random.below(GAITS.len()),
            hue,
            stage: Stage { tint, floor },
            middle,
            travel,
            size,
        }
    }

    /// What the generators were asked for.
    pub(super) fn prompt(&self) -> String {
        let (species, thing) = (SPECIES[self.species].0, THINGS[self.thing].0);
        format!(
            "a {species} {} with a {thing} on its back",
            GAITS[self.gait].0
        )
    }
}

/// One generator's rendering of an actor: what differs between the clips of a pair besides their faults.
#[derive(Debug, Clone)]
pub(super) struct Take {
    /// Where in a step the clip begins, in steps.
    phase: f32,
    /// Units by which it is elsewhere.
    offset: f32,
    /// Which leg is bent, and which is missing.
    pub(super) legs: [usize; 2],
    /// Where waves of outlines begin.
    pub(super) waves: f32,
}

impl Take {
    pub(super) fn new(config: &CrawlersConfig, random: &mut Random) -> Self {
        let mut legs: Vec<usize> = (0..HIPS.len()).collect();
        random.shuffle(&mut legs);
        Self {
            phase: random.unit(),
            offset: random.range(-2.0, 2.0) * (0.5 + config.difficulty),
            legs: [legs[0], legs[1]],
            waves: random.range(0.0, std::f32::consts::TAU),
        }
    }
}

/// Where legs begin, as parts of the torso's half length.
pub(super) const HIPS: [f32; 4] = [-0.78, -0.3, 0.3, 0.78];

/// Where everything is at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pose {
    /// Middle of the torso.
    pub(super) torso: [f32; 2],
    pub(super) radii: [f32; 2],
    /// Length of a leg.
    pub(super) leg: f32,
    /// Swing of each leg in radians.
    pub(super) swing: [f32; 4],
    /// Tilt of the thing on its back.
    pub(super) rock: f32,
}

/// The pose at a time, as a part of the clip from 0 to 1 and in seconds.
pub(super) fn pose(actor: &Actor, take: &Take, part: f32, time_s: f32) -> Pose {
    let turn = std::f32::consts::TAU;
    let step = turn * (take.phase + GAITS[actor.gait].1 * time_s);
    let radii = SPECIES[actor.species].2.map(|radius| radius * actor.size);
    let leg = LEG * actor.size;
    let x = actor.middle + take.offset + actor.travel * (part - 0.5);
    let bob = 0.7 * (2.0 * step).sin();
    let y = actor.stage.floor - leg - 0.6 * radii[1] + bob;
    Pose {
        torso: [x, y],
        radii,
        leg,
        // Legs across move together, as in a trot.
        swing: [0.0, 0.5, 0.0, 0.5].map(|lead| 0.35 * (step + turn * lead).sin()),
        rock: 0.06 * step.sin(),
    }
}
