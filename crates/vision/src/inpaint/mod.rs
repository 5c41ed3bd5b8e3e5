//! Taking an object away: the hole is filled with patches of the rest of the picture.
//!
//! From coarse to fine, each patch that touches the hole looks for the patch elsewhere that it
//! resembles most, and every pixel of the hole becomes the mean of what those patches have in its
//! place, until that settles. The start is a membrane. Patches are compared, and copied, up to a
//! shift of colour of [`field::MAX_SHIFT`] levels, so that a fill follows the light.
//!
//! Sources: Y. Wexler, E. Shechtman, M. Irani, *Space-Time Completion of Video*, PAMI 2007 (the
//! iteration and its votes); C. Barnes et al., *PatchMatch*, SIGGRAPH 2009 (the search); S. Darabi
//! et al., *Image Melding*, SIGGRAPH 2012 (the shift).

mod field;
mod patch;
mod pyramid;

use image::RgbImage;
use percept_data::coco::Mask;

use crate::Error;
use crate::fits::fits;
use crate::picture::Picture;
use crate::poisson;

use field::Field;
use pyramid::Level;

/// Searches and votes at the coarsest level, where the structure is decided, and at the others.
const ROUNDS_COARSEST: usize = 12;
const ROUNDS: usize = 4;

/// `image` with the pixels of `hole` filled from the rest of it, but not from `avoid`. The same
/// seed gives the same picture. Where no whole patch is left to copy, the fill is a membrane.
///
/// # Errors
/// A mask that does not fit the picture, or a hole that covers all of it.
pub(crate) fn remove(
    image: &RgbImage,
    hole: &Mask,
    avoid: &Mask,
    seed: u64,
) -> Result<RgbImage, Error> {
    fits(image, hole)?;
    fits(image, avoid)?;
    let mut filled = image.clone();
    if hole.is_empty() {
        return Ok(filled);
    }
    let mut levels = pyramid::levels(Picture::of(image), hole.clone(), avoid.clone());
    let mut coarser: Option<(Picture, Field)> = None;
    for depth in (0..levels.len()).rev() {
        let level = &mut levels[depth];
        match &coarser {
            None => start(level)?,
            Some((picture, _)) => level.enlarge_into_hole(picture),
        }
        let mut field = Field::new(level, coarser.as_ref().map(|(_, f)| f), seed, depth as u64);
        let rounds = if coarser.is_none() {
            ROUNDS_COARSEST
        } else {
            ROUNDS
        };
        for round in 0..rounds {
            field.search(level, round);
            field.vote(level);
        }
        coarser = Some((level.picture.clone(), field));
    }
    levels[0].picture.write(hole, &mut filled);
    Ok(filled)
}

/// A membrane as the first guess.
fn start(level: &mut Level) -> Result<(), Error> {
    let colours = poisson::continued(&level.picture, None, &level.hole)?;
    for ((x, y), colour) in level.hole.pixels().zip(colours) {
        let place = y as usize * level.picture.width + x as usize;
        level.picture.colours[place] = colour.map(|c| c as f32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn disc(width: u32, height: u32, cx: i64, cy: i64, r: i64) -> Mask {
        Mask::from_fn(width, height, |x, y| {
            (i64::from(x) - cx).pow(2) + (i64::from(y) - cy).pow(2) <= r * r
        })
    }

    /// `scene` with something red in the hole.
    fn with_object(scene: &RgbImage, hole: &Mask) -> RgbImage {
        let mut image = scene.clone();
        for (x, y) in hole.pixels() {
            image.put_pixel(x, y, Rgb([255, 0, 0]));
        }
        image
    }

    fn worst(a: &RgbImage, b: &RgbImage, mask: &Mask) -> u8 {
        let at = mask.pixels().map(|(x, y)| {
            let (a, b) = (a.get_pixel(x, y).0, b.get_pixel(x, y).0);
            (0..3).map(|c| a[c].abs_diff(b[c])).max().unwrap()
        });
        at.max().unwrap()
    }

    #[test]
    fn a_gradient_is_continued_and_nothing_outside_the_hole_changes() {
        let slope = RgbImage::from_fn(96, 80, |x, y| {
            Rgb([(60 + x) as u8, (200 - y) as u8, (30 + x + y) as u8])
        });
        let hole = disc(96, 80, 50, 40, 18);
        let none = Mask::new(96, 80);
        let filled = remove(&with_object(&slope, &hole), &hole, &none, 1).unwrap();
        assert!(
            worst(&filled, &slope, &hole) <= 4,
            "{}",
            worst(&filled, &slope, &hole)
        );
        let outside = none.union(&hole).unwrap();
        let outside = Mask::from_fn(96, 80, |x, y| !outside.get(x, y));
        assert_eq!(worst(&filled, &slope, &outside), 0);
    }

    #[test]
    fn stripes_go_on_through_the_hole() {
        let stripes = RgbImage::from_fn(96, 80, |_, y| match (y / 5) % 2 {
            0 => Rgb([20, 30, 40]),
            _ => Rgb([220, 200, 180]),
        });
        let hole = disc(96, 80, 48, 40, 14);
        let filled = remove(&with_object(&stripes, &hole), &hole, &Mask::new(96, 80), 1).unwrap();
        let right = hole.pixels().filter(|&(x, y)| {
            let (a, b) = (filled.get_pixel(x, y).0, stripes.get_pixel(x, y).0);
            a[0].abs_diff(b[0]) < 60
        });
        let share = right.count() as f64 / hole.area() as f64;
        assert!(share > 0.95, "{share}");
    }

    #[test]
    fn the_seed_decides_and_avoided_pixels_are_not_copied() {
        // Noise everywhere; the only blue is avoided.
        let mut random = crate::random::stream(&[7]);
        let mut image = RgbImage::from_fn(64, 64, |_, _| {
            let grey = random.below(200) as u8;
            Rgb([grey, grey, grey])
        });
        let (hole, blue) = (disc(64, 64, 22, 30, 10), disc(64, 64, 50, 30, 8));
        for (x, y) in blue.pixels() {
            image.put_pixel(x, y, Rgb([0, 0, 255]));
        }
        let filled = |seed| remove(&image, &hole, &blue, seed).unwrap();
        assert_eq!(filled(1), filled(1));
        assert_ne!(filled(1), filled(2));
        let tinted = |(x, y)| {
            let [r, _, b] = filled(1).get_pixel(x, y).0;
            b > r.saturating_add(40)
        };
        assert!(!hole.pixels().take(50).any(tinted));
    }

    #[test]
    fn holes_at_the_edge_thin_ones_and_none_are_filled() {
        let grey = RgbImage::from_pixel(40, 30, Rgb([90, 100, 110]));
        let none = Mask::new(40, 30);
        for hole in [
            Mask::from_fn(40, 30, |x, y| x < 12 && y > 15),
            Mask::from_fn(40, 30, |x, _| x == 20),
            Mask::from_fn(40, 30, |x, y| x + y > 3),
            none.clone(),
        ] {
            let filled = remove(&with_object(&grey, &hole), &hole, &none, 3).unwrap();
            assert_eq!(filled, grey, "{hole:?}");
        }
        let all = Mask::from_fn(40, 30, |_, _| true);
        assert!(remove(&grey, &all, &none, 3).is_err());
    }
}
