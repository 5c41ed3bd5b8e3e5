//! Pictures of shapes on a grid.

use image::{Rgb, RgbImage};

use super::world::{LEADS, SHAPES};
use crate::tasks::random::Random;

/// Pixels along a side of a cell: one merged token of the small model.
pub(super) const CELL: u32 = 28;
/// Cells in a row and in a column: room for every shape once.
const GRID: [u32; 2] = [4, 2];
/// Pixels of a picture.
pub const WIDTH: u32 = CELL * GRID[0];
/// Pixels of a picture.
pub const HEIGHT: u32 = CELL * GRID[1];
/// From the middle of a shape to its edge, in pixels: almost all of a cell.
const RADIUS: f32 = 12.5;
/// Grey of the ground, about the mean of the image processor: what differs from it is what there is to
/// see. What other grounds did to learning: `docs/hallucination.md`.
const GROUND: f32 = 120.0;
/// Levels by which a ground's colour may differ.
const TINT: f32 = 6.0;
/// Colour of every shape at full strength.
const COLOURS: [[f32; 3]; SHAPES.len()] = [
    [230.0, 30.0, 30.0],
    [30.0, 50.0, 230.0],
    [20.0, 200.0, 50.0],
    [200.0, 30.0, 220.0],
    [240.0, 210.0, 0.0],
    [0.0, 210.0, 230.0],
    [10.0, 10.0, 10.0],
    [250.0, 250.0, 250.0],
];
/// Levels by which a pixel may differ from its colour.
const NOISE: f32 = 8.0;

/// One object: what and in which cell.
#[derive(Debug, Clone, Copy)]
struct Object {
    shape: usize,
    /// Column and row.
    cell: [u32; 2],
}

/// A picture before it is drawn: drawing it twice gives the same pixels.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    objects: Vec<Object>,
    ground: [f32; 3],
    /// Seed of the noise.
    grain: u64,
}

impl Scene {
    /// Each shape in a cell of its own.
    pub(super) fn new(shapes: Vec<usize>, random: &mut Random) -> Self {
        let mut cells: Vec<u32> = (0..GRID[0] * GRID[1]).collect();
        random.shuffle(&mut cells);
        let objects = shapes.into_iter().zip(cells).map(|(shape, cell)| Object {
            shape,
            cell: [cell % GRID[0], cell / GRID[0]],
        });
        Self {
            objects: objects.collect(),
            ground: [(); 3].map(|()| random.range(GROUND - TINT, GROUND + TINT)),
            grain: random.below(usize::MAX) as u64,
        }
    }

    /// Puts another shape in the place of object `index`.
    pub(super) fn replace(&mut self, index: usize, shape: usize) {
        self.objects[index].shape = shape;
    }

    /// Takes object `index` away.
    pub(super) fn remove(&mut self, index: usize) {
        self.objects.remove(index);
    }

    /// Draws it; `contrast` is the strength of the shapes that are no leads.
    pub(super) fn draw(&self, contrast: f32) -> RgbImage {
        let mut noise = Random::new(&[self.grain]);
        RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
            let mut pixel = self.ground;
            for object in &self.objects {
                let strength = match object.shape < LEADS {
                    true => 1.0,
                    false => contrast,
                };
                let cover = object.cover(x, y) * strength;
                for (channel, ink) in pixel.iter_mut().zip(COLOURS[object.shape]) {
                    *channel += (ink - *channel) * cover;
                }
            }
            let grain = noise.range(-NOISE, NOISE);
            Rgb(pixel.map(|channel| (channel + grain).round().clamp(0.0, 255.0) as u8))
        })
    }
}

impl Object {
    /// Share of a pixel that the shape covers, from nine points.
    fn cover(&self, x: u32, y: u32) -> f32 {
        if [x / CELL, y / CELL] != self.cell {
            return 0.0;
        }
        let centre = self.cell.map(|at| (at * CELL + CELL / 2) as f32);
        let points = (0..9).filter(|i| {
            let at = [
                x as f32 + (i % 3) as f32 / 3.0 + 1.0 / 6.0,
                y as f32 + (i / 3) as f32 / 3.0 + 1.0 / 6.0,
            ];
            let [u, v] = [0, 1].map(|i| (at[i] - centre[i]) / RADIUS);
            inside(self.shape, u, v)
        });
        points.count() as f32 / 9.0
    }
}

/// Whether the point is inside the shape in the square from −1 to 1.
fn inside(shape: usize, u: f32, v: f32) -> bool {
    let (a, b) = (u.abs(), v.abs());
    let square = u * u + v * v;
    match SHAPES[shape] {
        "square" => a.max(b) <= 0.9,
        "disc" => square <= 1.0,
        "ring" => (0.2..=1.0).contains(&square),
        "cross" => a.max(b) <= 1.0 && a.min(b) <= 0.4,
        "triangle" => v <= 0.85 && a <= (v + 1.0) * 0.54,
        "diamond" => a + b <= 1.0,
        "bar" => a <= 1.0 && b <= 0.55,
        // Four points.
        _ => a.powf(0.7) + b.powf(0.7) <= 1.0,
    }
}
