//! The parts of a creature, sound or not, and the boxes of what is wrong.

use percept_frames::Distortion;

use super::draw::{Bounds, Colour, Part, Shape};
use super::pose::{Actor, HIPS, Pose, SPECIES, THINGS, Take};

/// A frame before it is drawn.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// From back to front.
    pub(super) parts: Vec<Part>,
    /// Units by which what moves is smeared to both sides.
    pub(super) smear: f32,
    /// What belongs to each fault; not yet cut to the frame.
    pub(super) faults: Vec<(Distortion, Bounds)>,
}

const SKIN: f32 = 45.0;
const DARK: Colour = [15.0, 15.0, 20.0];
const LIGHT: Colour = [250.0, 250.0, 245.0];

/// Builds the creature of a pose; `severity` says how much of each fault there is.
pub(super) fn body(
    actor: &Actor,
    take: &Take,
    pose: &Pose,
    severity: impl Fn(Distortion) -> f32,
) -> Body {
    let hued = |colour: Colour| [0, 1, 2].map(|i| (colour[i] + actor.hue[i]).clamp(0.0, 255.0));
    let coat = hued(SPECIES[actor.species].1);
    let mut body = Body {
        parts: Vec::new(),
        smear: 7.0 * severity(Distortion::MotionBlur),
        faults: Vec::new(),
    };
    legs(&mut body, take, pose, coat.map(|c| c * 0.55), &severity);
    let torso = torso(
        &mut body,
        take,
        pose,
        coat,
        severity(Distortion::TorsoDeformation),
    );
    thing(&mut body, actor, take, pose, torso, &severity);
    let face = severity(Distortion::FacialDeformation);
    head(&mut body, take, pose, coat.map(|c| c + SKIN), face);
    if body.smear > 0.0 {
        let all = body.parts.iter().map(|part| part.shape.bounds());
        if let Some([left, top, right, bottom]) = all.reduce(union) {
            let smeared = [left - body.smear, top, right + body.smear, bottom];
            body.faults.push((Distortion::MotionBlur, smeared));
        }
    }
    body
}

/// Thigh and shank of one leg, of `lengths` against the sound one's; angles from straight down.
fn limb(hip: [f32; 2], leg: f32, angles: [f32; 2], lengths: [f32; 2], radius: f32) -> [Shape; 2] {
    let towards = |from: [f32; 2], angle: f32, length: f32| {
        [
            from[0] + angle.sin() * length,
            from[1] + angle.cos() * length,
        ]
    };
    let knee = towards(hip, angles[0], leg * 0.55 * lengths[0]);
    let foot = towards(knee, angles[1], leg * 0.55 * lengths[1]);
    let bone = |from, to| Shape::Capsule { from, to, radius };
    [bone(hip, knee), bone(knee, foot)]
}

fn legs(
    body: &mut Body,
    take: &Take,
    pose: &Pose,
    colour: Colour,
    severity: &impl Fn(Distortion) -> f32,
) {
    let radius = 1.9;
    for (leg, along) in HIPS.into_iter().enumerate() {
        let hip = [
            pose.torso[0] + along * pose.radii[0],
            pose.torso[1] + 0.55 * pose.radii[1],
        ];
        let swing = pose.swing[leg];
        let sound = limb(hip, pose.leg, [swing, swing * 0.3], [1.0, 1.0], radius);
        let (fault, shapes) = if leg == take.legs[0] {
            let s = severity(Distortion::LimbDeformation);
            let outward = if along < 0.0 { -1.0 } else { 1.0 };
            let angles = [swing + 1.5 * s * outward, swing * 0.3 - 1.9 * s * outward];
            let bent = limb(
                hip,
                pose.leg,
                angles,
                [1.0, 1.0 + 0.25 * s],
                radius + 2.2 * s,
            );
            (Distortion::LimbDeformation, bent)
        } else if leg == take.legs[1] {
            let s = severity(Distortion::LimbDeficiency);
            // The shank goes first, then the thigh.
            let lengths = [
                1.0 - (1.6 * (s - 0.4)).clamp(0.0, 0.9),
                (1.0 - 2.5 * s).max(0.0),
            ];
            let stump = limb(hip, pose.leg, [swing, swing * 0.3], lengths, radius);
            (Distortion::LimbDeficiency, stump)
        } else {
            body.parts.extend(sound.map(|shape| Part { shape, colour }));
            continue;
        };
        if severity(fault) > 0.0 {
            // What is missing has its box where it should be.
            let all = shapes.into_iter().chain(sound).map(|shape| shape.bounds());
            body.faults
                .extend(all.reduce(union).map(|bounds| (fault, bounds)));
        }
        body.parts
            .extend(shapes.map(|shape| Part { shape, colour }));
    }
    let s = severity(Distortion::ExtraLimbs);
    if s > 0.0 {
        let mut bounds = Vec::new();
        for (along, lean) in [(-0.72, -0.45), (0.55, 0.3)] {
            let hip = [
                pose.torso[0] + along * pose.radii[0],
                pose.torso[1] - 0.5 * pose.radii[1],
            ];
            let up = std::f32::consts::PI - lean;
            let angles = [up + pose.swing[0] * 0.5, up + lean];
            let grown = limb(hip, pose.leg * 1.25, angles, [s, s], radius);
            bounds.extend(grown.iter().map(Shape::bounds));
            body.parts.extend(grown.map(|shape| Part { shape, colour }));
        }
        let all = bounds.into_iter().reduce(union);
        body.faults
            .extend(all.map(|bounds| (Distortion::ExtraLimbs, bounds)));
    }
}

fn torso(body: &mut Body, take: &Take, pose: &Pose, colour: Colour, s: f32) -> Bounds {
    let shape = Shape::Blob {
        centre: pose.torso,
        radii: pose.radii,
        power: 2.0,
        tilt: 0.0,
        wave: 0.42 * s,
        waves: (5.0, take.waves),
    };
    body.parts.push(Part { shape, colour });
    if s > 0.0 {
        let bounds = shape.bounds();
        body.faults.push((Distortion::TorsoDeformation, bounds));
    }
    Shape::ellipse(pose.torso, pose.radii).bounds()
}

fn thing(
    body: &mut Body,
    actor: &Actor,
    take: &Take,
    pose: &Pose,
    torso: Bounds,
    severity: &impl Fn(Distortion) -> f32,
) {
    let (_, colour, radii, power) = THINGS[actor.thing];
    let radii = radii.map(|radius| radius * actor.size);
    let (sunk, warped) = (
        severity(Distortion::MeshPenetration),
        severity(Distortion::ObjectDistortion),
    );
    let shape = Shape::Blob {
        centre: [
            pose.torso[0] - 0.08 * pose.radii[0],
            torso[1] - radii[1] + 0.8 + sunk * (1.5 * radii[1] + 3.0),
        ],
        radii,
        power,
        tilt: pose.rock + 0.5 * warped,
        wave: 0.45 * warped,
        waves: (4.0, take.waves + 1.0),
    };
    body.parts.push(Part { shape, colour });
    let bounds = shape.bounds();
    if warped > 0.0 {
        body.faults.push((Distortion::ObjectDistortion, bounds));
    }
    if sunk > 0.0 {
        let crossing = [
            bounds[0].max(torso[0]),
            bounds[1].max(torso[1]),
            bounds[2].min(torso[2]),
            bounds[3].min(torso[3]),
        ];
        body.faults.push((Distortion::MeshPenetration, crossing));
    }
}

fn head(body: &mut Body, take: &Take, pose: &Pose, colour: Colour, s: f32) {
    let size = pose.leg / 13.0;
    let centre = [
        pose.torso[0] + pose.radii[0] + 5.0 * size,
        pose.torso[1] - 4.0 * size,
    ];
    let radius = 8.5 * size;
    let skull = Shape::Blob {
        centre,
        radii: [radius, radius],
        power: 2.0,
        tilt: 0.0,
        wave: 0.22 * s,
        waves: (3.0, take.waves),
    };
    body.parts.push(Part {
        shape: skull,
        colour: colour.map(|c| c.min(255.0)),
    });
    // One eye grows and slips down, the other shrinks and climbs; the mouth turns.
    for (sideways, grown, slip) in [
        (-3.0, 1.0 + 0.9 * s, 3.5 * s),
        (3.2, 1.0 - 0.6 * s, -3.0 * s),
    ] {
        let eye = [centre[0] + sideways * size, centre[1] + (slip - 1.8) * size];
        for (part, colour) in [(2.5, LIGHT), (1.2, DARK)] {
            let radius = part * grown * size;
            let shape = Shape::ellipse(eye, [radius, radius]);
            body.parts.push(Part { shape, colour });
        }
    }
    let (turn, lift) = (1.3 * s, -1.5 * s * size);
    let half = [3.0 * size * turn.cos(), 3.0 * size * turn.sin()];
    let mouth = [centre[0] + 2.0 * s * size, centre[1] + 4.2 * size + lift];
    body.parts.push(Part {
        shape: Shape::Capsule {
            from: [mouth[0] - half[0], mouth[1] - half[1]],
            to: [mouth[0] + half[0], mouth[1] + half[1]],
            radius: 0.8 * size,
        },
        colour: DARK,
    });
    if s > 0.0 {
        let bounds = skull.bounds();
        body.faults.push((Distortion::FacialDeformation, bounds));
    }
}

fn union(a: Bounds, b: Bounds) -> Bounds {
    [
        a[0].min(b[0]),
        a[1].min(b[1]),
        a[2].max(b[2]),
        a[3].max(b[3]),
    ]
}
