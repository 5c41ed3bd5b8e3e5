//! Pairs of pictures that differ in one object.

use super::draw;
use super::world::{LEADS, SHAPES, companions};
use crate::tasks::png::png;
use crate::tasks::random::Random;

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

/// Pair `index` of a seed; the shapes are as faint as in [`ScenesConfig::contrast`](super::ScenesConfig::contrast).
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
