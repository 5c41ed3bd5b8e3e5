//! How a picture is turned before it is shown, by the matrix of a track header or the rotation that ffprobe names.

use image::{RgbImage, imageops};

/// Turns by quarters, after a reflection where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Turn {
    /// Clockwise quarters, 0–3.
    pub(crate) quarters: u8,
    /// Whether left and right are exchanged first.
    pub(crate) mirrored: bool,
}

impl Turn {
    /// Of a `tkhd` matrix (a, b, u, c, d, v, x, y, w): `(x, y) → (a·x + c·y, b·x + d·y)`. Matrices that are no turn by
    /// quarters leave the picture as it is.
    pub(crate) fn from_matrix(matrix: [i32; 9]) -> Self {
        let [a, b, _, c, d, ..] = matrix.map(i32::signum);
        let (quarters, mirrored) = match (a, b, c, d) {
            (0, 1, -1, 0) => (1, false),
            (-1, 0, 0, -1) => (2, false),
            (0, -1, 1, 0) => (3, false),
            (-1, 0, 0, 1) => (0, true),
            (0, -1, -1, 0) => (1, true),
            (1, 0, 0, -1) => (2, true),
            (0, 1, 1, 0) => (3, true),
            _ => (0, false),
        };
        Self { quarters, mirrored }
    }

    /// Width and height when turned.
    pub(crate) fn size(self, (width, height): (u32, u32)) -> (u32, u32) {
        match self.quarters % 2 {
            0 => (width, height),
            _ => (height, width),
        }
    }

    pub(crate) fn apply(self, mut picture: RgbImage) -> RgbImage {
        if self.mirrored {
            imageops::flip_horizontal_in_place(&mut picture);
        }
        match self.quarters {
            1 => imageops::rotate90(&picture),
            2 => {
                imageops::rotate180_in_place(&mut picture);
                picture
            }
            3 => imageops::rotate270(&picture),
            _ => picture,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i32 = 1 << 16;

    /// Where the matrix puts a pixel, the turned picture has it.
    #[test]
    fn a_turn_puts_pixels_where_the_matrix_does() {
        let picture = RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8, y as u8, 7]));
        for [a, b, c, d] in [
            [1, 0, 0, 1],
            [0, 1, -1, 0],
            [-1, 0, 0, -1],
            [0, -1, 1, 0],
            [-1, 0, 0, 1],
            [0, -1, -1, 0],
            [1, 0, 0, -1],
            [0, 1, 1, 0],
        ] {
            let matrix = [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30];
            let turn = Turn::from_matrix(matrix);
            let turned = turn.apply(picture.clone());
            assert_eq!(turned.dimensions(), turn.size((3, 2)));
            let place = |x: i32, y: i32| (a * x + c * y, b * x + d * y);
            // The matrix moves the picture out of the quadrant; what counts is the place from its least corner.
            let corners = [(0, 0), (2, 0), (0, 1), (2, 1)].map(|(x, y)| place(x, y));
            let left = corners.iter().map(|c| c.0).min().unwrap();
            let top = corners.iter().map(|c| c.1).min().unwrap();
            for (x, y, pixel) in picture.enumerate_pixels() {
                let (to_x, to_y) = place(x as i32, y as i32);
                let (to_x, to_y) = ((to_x - left) as u32, (to_y - top) as u32);
                assert_eq!(turned.get_pixel(to_x, to_y), pixel, "{matrix:?}");
            }
        }
    }
}
