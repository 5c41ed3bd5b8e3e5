//! The picture with boxes and masks drawn on it, a colour for each tag.

use image::{Rgb, RgbImage};
use percept_data::coco::Mask;

/// Colours that can be told apart, also by people who see red and green alike (Okabe and Ito 2008).
const COLOURS: [[u8; 3]; 7] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
];

/// The colour of a tag by its number.
pub(crate) fn colour(number: usize) -> [u8; 3] {
    COLOURS[number % COLOURS.len()]
}

/// Something to draw: a number of a colour, pixels, boxes (left, top, width, height).
pub(crate) struct Drawn<'a> {
    pub number: usize,
    pub mask: &'a Mask,
    pub boxes: Vec<[f64; 4]>,
}

/// The picture with all of them: masks tinted by half, boxes as lines.
pub(crate) fn drawn(image: &RgbImage, things: &[Drawn<'_>]) -> RgbImage {
    let mut picture = image.clone();
    for thing in things {
        let colour = colour(thing.number);
        for (x, y) in thing.mask.pixels() {
            if x < picture.width() && y < picture.height() {
                let pixel = picture.get_pixel_mut(x, y);
                for (level, tint) in pixel.0.iter_mut().zip(colour) {
                    *level = ((u16::from(*level) + u16::from(tint)) / 2) as u8;
                }
            }
        }
    }
    for thing in things {
        for bbox in &thing.boxes {
            outline(&mut picture, *bbox, colour(thing.number));
        }
    }
    picture
}

/// Lines that are still seen when the picture is made 320 pixels wide.
fn outline(picture: &mut RgbImage, [x, y, w, h]: [f64; 4], colour: [u8; 3]) {
    let (width, height) = picture.dimensions();
    let thick = (f64::from(width.max(height)) / 160.0).max(1.0);
    let inside = |px: f64, py: f64, grow: f64| {
        px >= x - grow && px < x + w + grow && py >= y - grow && py < y + h + grow
    };
    for (px, py, pixel) in picture.enumerate_pixels_mut() {
        let (px, py) = (f64::from(px), f64::from(py));
        if inside(px, py, 0.0) && !inside(px, py, -thick) {
            *pixel = Rgb(colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_tinted_and_boxes_are_lines() {
        let image = RgbImage::new(160, 100);
        let mask = Mask::from_fn(160, 100, |x, y| x > 50 && x < 60 && y > 50 && y < 60);
        let things = [Drawn {
            number: 1,
            mask: &mask,
            boxes: vec![[40.0, 40.0, 30.0, 30.0]],
        }];
        let picture = drawn(&image, &things);
        assert_eq!(picture.get_pixel(55, 55).0, [43, 90, 116]);
        assert_eq!(picture.get_pixel(40, 45).0, colour(1));
        assert_eq!(picture.get_pixel(45, 45).0, [0, 0, 0]);
        assert_eq!(picture.get_pixel(10, 10).0, [0, 0, 0]);
    }
}
