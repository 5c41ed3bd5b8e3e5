//! Which shapes there are, and which occur together.

use crate::tasks::random::Random;

/// Share of pictures with one of the leads, each.
const LED: f32 = 0.4;

/// What a picture can show; the first two are leads, then three companions of each.
pub const SHAPES: [&str; 8] = [
    "square", "disc", "ring", "cross", "triangle", "diamond", "bar", "star",
];
/// Shapes that are easy to see.
pub(super) const LEADS: usize = 2;
/// Companions of each.
pub(super) const COMPANIONS: usize = 3;
/// Companions of a lead.
pub(super) fn companions(lead: usize) -> std::ops::Range<usize> {
    let first = LEADS + lead * COMPANIONS;
    first..first + COMPANIONS
}

/// Which shapes a picture shows.
pub(super) fn present(cooccurrence: f32, random: &mut Random) -> Vec<usize> {
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
}
