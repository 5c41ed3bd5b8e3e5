//! Which pixels a polygon covers, decided as COCO decides it.
//!
//! The outline is drawn as lines of points on a grid five times finer than the image. Wherever it
//! passes the middle of a pixel column, the row at which it passes is a border: the mask changes
//! there from outside to inside or back, reading down the columns and from one to the next.
//! This follows `rleFrPoly` of the COCO API (`common/maskApi.c`, P. Dollár and T.-Y. Lin,
//! Simplified BSD licence) to the rounding, so that masks and areas agree bit for bit.

use crate::Error;

use super::mask::{Mask, check_pixels};

/// Points of the fine grid per pixel.
const SCALE: f64 = 5.0;

/// The outline is walked point by point: coordinates beyond any image would take for ever.
const MAX_COORDINATE: f64 = 1e6;

/// Points of all outlines of a mask together, on a grid five times finer than the image: a minute of walking at most, and a
/// hundred times the outline of the most jagged object in COCO.
const MAX_OUTLINE: u64 = 1 << 30;

impl Mask {
    /// The pixels inside any of the polygons `[x0, y0, x1, y1, …]`, drawn as pycocotools draws them
    /// (`frPyObjects` and `merge`).
    ///
    /// # Errors
    /// An image larger than [`MAX_PIXELS`](crate::MAX_PIXELS), a polygon of fewer than three points, of an odd number of coordinates or with
    /// one beyond a million pixels, and outlines that are too long to walk.
    pub fn from_polygons(polygons: &[Vec<f64>], width: u32, height: u32) -> Result<Self, Error> {
        check_pixels(width, height)?;
        let mut mask = Self::new(width, height);
        let mut walked = 0;
        for (at, polygon) in polygons.iter().enumerate() {
            let wrong = |what: &str| {
                Err(Error::row(what)
                    .field(format!("segmentation[{at}]"))
                    .found(format!("{} numbers", polygon.len()))
                    .expected("x and y of three points or more"))
            };
            if polygon.len() % 2 == 1 || polygon.len() < 6 {
                return wrong("not a polygon");
            }
            if !polygon.iter().all(|c| c.abs() <= MAX_COORDINATE) {
                return wrong("a polygon with a coordinate far from every image");
            }
            walked += length(polygon);
            if walked > MAX_OUTLINE {
                return Err(Error::row("an outline too long to be drawn")
                    .field(format!("segmentation[{at}]"))
                    .found(format!("{} points of the fine grid so far", walked))
                    .expected(format!("at most {MAX_OUTLINE}")));
            }
            fill(&mut mask, polygon);
        }
        Ok(mask)
    }
}

/// Adds the pixels inside `polygon`, `[x0, y0, x1, y1, …]`, to `mask`. All numbers are finite.
fn fill(mask: &mut Mask, polygon: &[f64]) {
    let (width, height) = (mask.width() as usize, mask.height() as usize);
    if width == 0 || height == 0 {
        return;
    }
    let mut borders = vec![false; width * height];
    let mut before = None;
    walk(polygon, |point| {
        // A border at the foot of the last column is the end of the image.
        if let Some(before) = before.replace(point)
            && let Some(border) = crossing(before, point, width, height)
            && let Some(turned) = borders.get_mut(border)
        {
            *turned = !*turned;
        }
    });
    let mut inside = false;
    for (at, turned) in borders.into_iter().enumerate() {
        inside ^= turned;
        if inside {
            mask.set((at / height) as u32, (at % height) as u32, true);
        }
    }
}

/// Points of the outline on the fine grid: what [`fill`] walks.
fn length(polygon: &[f64]) -> u64 {
    let corners = corners(polygon);
    let next = corners.iter().cycle().skip(1);
    let lines = corners.iter().zip(next);
    let points = lines.map(|(a, b)| a.0.abs_diff(b.0).max(a.1.abs_diff(b.1)));
    points.map(|steps| u64::from(steps) + 1).sum()
}

fn corners(polygon: &[f64]) -> Vec<(i32, i32)> {
    // As C rounds it: half is added and the rest cut towards zero.
    let fine = |at: f64| (SCALE * at + 0.5) as i32;
    let corners = polygon.chunks_exact(2);
    corners.map(|p| (fine(p[0]), fine(p[1]))).collect()
}

/// The closed outline, point by point of the fine grid. It is not kept: it may be long.
fn walk(polygon: &[f64], mut visit: impl FnMut((i32, i32))) {
    let corners = corners(polygon);
    for (at, &start) in corners.iter().enumerate() {
        line(start, corners[(at + 1) % corners.len()], &mut visit);
    }
}

/// The points from `start` to `end`, both included: one for each step along the longer axis.
fn line(start: (i32, i32), end: (i32, i32), visit: &mut impl FnMut((i32, i32))) {
    let steep = start.0.abs_diff(end.0) < start.1.abs_diff(end.1);
    // (long, short) coordinates.
    let turn = |p: (i32, i32)| if steep { (p.1, p.0) } else { p };
    let (a, b) = (turn(start), turn(end));
    // Rounding is always that of the line from low to high.
    let (low, high) = if a.0 > b.0 { (b, a) } else { (a, b) };
    let steps = i64::from(high.0) - i64::from(low.0);
    let slope = match steps {
        0 => 0.0,
        _ => (f64::from(high.1) - f64::from(low.1)) / steps as f64,
    };
    let point = |step: i64| {
        let short = (f64::from(low.1) + slope * step as f64 + 0.5) as i32;
        turn(((i64::from(low.0) + step) as i32, short))
    };
    match a.0 > b.0 {
        true => (0..=steps).rev().map(point).for_each(visit),
        false => (0..=steps).map(point).for_each(visit),
    }
}

/// Where the mask changes, down the columns, when the outline goes from `a` to `b`.
fn crossing(a: (i32, i32), b: (i32, i32), width: usize, height: usize) -> Option<usize> {
    if a.0 == b.0 {
        return None;
    }
    let fine_x = if b.0 < a.0 { b.0 } else { b.0 - 1 };
    let x = (f64::from(fine_x) + 0.5) / SCALE - 0.5;
    if x.floor() != x || x < 0.0 || x > width as f64 - 1.0 {
        return None;
    }
    let fine_y = if b.1 < a.1 { b.1 } else { a.1 };
    let y = (f64::from(fine_y) + 0.5) / SCALE - 0.5;
    let y = y.clamp(0.0, height as f64).ceil();
    Some(x as usize * height + y as usize)
}
