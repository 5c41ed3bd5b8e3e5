//! Pictures of shapes on a grid.

use image::{Rgb, RgbImage};

use super::{LEADS, SHAPES};
use crate::random::Random;

/// Pixels along a side of a cell: one merged token of the small model.
pub(super) const CELL: u32 = 28;
/// Cells in a row and in a column: room for every shape once.
const GRID: [u32; 2] = [4, 2];
/// Pixels of a picture.
pub const WIDTH: u32 = CELL * GRID[0];
/// Pixels of a picture.
pub const HEIGHT: u32 = CELL * GRID[1];
/// Colour of every shape at full strength.
const COLOURS: [[f32; 3]; SHAPES.len()] = [
    [200.0, 40.0, 40.0],
    [40.0, 70.0, 200.0],
    [30.0, 140.0, 60.0],
    [150.0, 60.0, 160.0],
    [190.0, 120.0, 20.0],
    [20.0, 140.0, 150.0],
    [120.0, 90.0, 40.0],
    [200.0, 60.0, 130.0],
];
/// Levels by which a pixel may differ from its colour.
const NOISE: f32 = 8.0;

/// One object: what, where, how large.
#[derive(Debug, Clone, Copy)]
struct Object {
    shape: usize,
    /// Centre in pixels and the distance from it to the edge.
    centre: [f32; 2],
    radius: f32,
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
        let objects = shapes
            .into_iter()
            .zip(cells)
            .map(|(shape, cell)| object(shape, [cell % GRID[0], cell / GRID[0]], random));
        Self {
            objects: objects.collect(),
            ground: [(); 3].map(|()| random.range(230.0, 242.0)),
            grain: random.below(usize::MAX) as u64,
        }
    }

    /// Puts another shape in the place of object `index`.
    pub(super) fn replace(&mut self, index: usize, shape: usize) {
        let mut random = Random::new(&[self.grain, 1]);
        let centre = self.objects[index].centre;
        let cell = centre.map(|x| x as u32 / CELL);
        self.objects[index] = object(shape, cell, &mut random);
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

/// A shape somewhere in its cell.
fn object(shape: usize, cell: [u32; 2], random: &mut Random) -> Object {
    let radius = match shape < LEADS {
        true => random.range(10.0, 12.5),
        false => random.range(7.5, 9.5),
    };
    let room = CELL as f32 - 2.0 * radius - 2.0;
    let centre = cell.map(|at| (at * CELL) as f32 + 1.0 + radius + random.range(0.0, room));
    Object {
        shape,
        centre,
        radius,
    }
}

impl Object {
    /// Share of a pixel that the shape covers, from nine points.
    fn cover(&self, x: u32, y: u32) -> f32 {
        let reach = self.radius + 1.0;
        let middle = [x as f32 + 0.5, y as f32 + 0.5];
        if (0..2).any(|i| (middle[i] - self.centre[i]).abs() > reach) {
            return 0.0;
        }
        let points = (0..9).filter(|i| {
            let at = [
                x as f32 + (i % 3) as f32 / 3.0 + 1.0 / 6.0,
                y as f32 + (i / 3) as f32 / 3.0 + 1.0 / 6.0,
            ];
            let [u, v] = [0, 1].map(|i| (at[i] - self.centre[i]) / self.radius);
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
        "ring" => (0.36..=1.0).contains(&square),
        "cross" => a.max(b) <= 1.0 && a.min(b) <= 0.3,
        "triangle" => v <= 0.8 && a <= (v + 1.0) * 0.55,
        "diamond" => a + b <= 1.0,
        "bar" => a <= 1.0 && b <= 0.35,
        // Four points.
        _ => a.sqrt() + b.sqrt() <= 1.0,
    }
}
