//! 4:2:0 samples as RGB, as swscale's fast path makes them: each pixel takes the chroma sample of its 2 × 2 block.

use image::RgbImage;

/// Which weights of red, green and blue make luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Matrix {
    /// Also where a file does not say, as swscale has it, whatever the size of the picture.
    #[default]
    Bt601,
    Bt709,
    Bt2020,
    Fcc,
    Smpte240,
}

impl Matrix {
    /// By its number in H.264's table E-5 and in `colr` boxes; none where it says nothing or names no such matrix.
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Bt709),
            4 => Some(Self::Fcc),
            5 | 6 => Some(Self::Bt601),
            7 => Some(Self::Smpte240),
            9 | 10 => Some(Self::Bt2020),
            _ => None,
        }
    }

    /// Weights of red and of blue.
    fn weights(self) -> (f64, f64) {
        match self {
            Self::Bt601 => (0.299, 0.114),
            Self::Bt709 => (0.2126, 0.0722),
            Self::Bt2020 => (0.2627, 0.0593),
            Self::Fcc => (0.30, 0.11),
            Self::Smpte240 => (0.212, 0.087),
        }
    }
}

/// How samples become RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Colour {
    pub(crate) matrix: Matrix,
    /// Whether luma runs over 0–255 and not over 16–235.
    pub(crate) full_range: bool,
}

/// A plane of samples and the distance of its rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane<'a> {
    pub(crate) samples: &'a [u8],
    pub(crate) stride: usize,
}

impl<'a> Plane<'a> {
    fn row(&self, y: usize, width: usize) -> Option<&'a [u8]> {
        let start = y.checked_mul(self.stride)?;
        self.samples.get(start..start.checked_add(width)?)
    }
}

/// Fractional bits of the products below.
const BITS: u32 = 14;

/// Tables of one colour: what each sample adds to red, green and blue, in fixed point.
pub(crate) struct ToRgb {
    luma: [i32; 256],
    red: [i32; 256],
    green_u: [i32; 256],
    green_v: [i32; 256],
    blue: [i32; 256],
}

impl ToRgb {
    pub(crate) fn new(colour: Colour) -> Self {
        let (r, b) = colour.matrix.weights();
        let g = 1.0 - r - b;
        let (base, luma, chroma) = match colour.full_range {
            true => (0.0, 1.0, 1.0),
            false => (16.0, 255.0 / 219.0, 255.0 / 224.0),
        };
        let table = |weight: f64, middle: f64, half: f64| {
            std::array::from_fn(|sample| {
                let value = weight * (sample as f64 - middle) + half;
                (value * f64::from(1 << BITS)).round() as i32
            })
        };
        Self {
            luma: table(luma, base, 0.5),
            red: table(chroma * 2.0 * (1.0 - r), 128.0, 0.0),
            green_u: table(-chroma * 2.0 * b * (1.0 - b) / g, 128.0, 0.0),
            green_v: table(-chroma * 2.0 * r * (1.0 - r) / g, 128.0, 0.0),
            blue: table(chroma * 2.0 * (1.0 - b), 128.0, 0.0),
        }
    }

    /// A picture of this size; none when a plane is too short for it.
    pub(crate) fn picture(
        &self,
        size: (u32, u32),
        [luma, u, v]: [Plane<'_>; 3],
    ) -> Option<RgbImage> {
        let (width, height) = (size.0 as usize, size.1 as usize);
        let mut out = vec![0; width.checked_mul(height)?.checked_mul(3)?];
        for (y, line) in out.chunks_exact_mut(3 * width.max(1)).enumerate() {
            let half = width.div_ceil(2);
            let luma = luma.row(y, width)?;
            let (u, v) = (u.row(y / 2, half)?, v.row(y / 2, half)?);
            let pairs = line.chunks_mut(6).zip(luma.chunks(2)).zip(u.iter().zip(v));
            for ((pixels, luma), (&u, &v)) in pairs {
                let (u, v) = (usize::from(u), usize::from(v));
                let (red, blue) = (self.red[v], self.blue[u]);
                let green = self.green_u[u] + self.green_v[v];
                for (pixel, &sample) in pixels.chunks_exact_mut(3).zip(luma) {
                    let base = self.luma[usize::from(sample)];
                    pixel[0] = level(base + red);
                    pixel[1] = level(base + green);
                    pixel[2] = level(base + blue);
                }
            }
        }
        RgbImage::from_raw(size.0, size.1, out)
    }
}

fn level(value: i32) -> u8 {
    (value >> BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(colour: Colour, y: u8, u: u8, v: u8) -> [u8; 3] {
        let plane = |sample: &'static [u8; 1]| Plane {
            samples: sample,
            stride: 1,
        };
        let keep = |sample: u8| -> &'static [u8; 1] { Box::leak(Box::new([sample])) };
        let planes = [plane(keep(y)), plane(keep(u)), plane(keep(v))];
        let picture = ToRgb::new(colour).picture((1, 1), planes).unwrap();
        picture.get_pixel(0, 0).0
    }

    #[test]
    fn grey_stays_grey_and_the_ends_of_the_range_are_black_and_white() {
        for matrix in [Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020] {
            let narrow = Colour {
                matrix,
                full_range: false,
            };
            assert_eq!(one(narrow, 16, 128, 128), [0; 3]);
            assert_eq!(one(narrow, 235, 128, 128), [255; 3]);
            let wide = Colour {
                matrix,
                full_range: true,
            };
            for level in [0, 7, 128, 255] {
                assert_eq!(one(wide, level, 128, 128), [level; 3]);
            }
        }
    }

    /// BT.601's red (255, 0, 0) is Y 81, U 90, V 240; BT.709's is Y 63, U 102, V 240.
    #[test]
    fn red_is_red_by_both_matrices() {
        for (matrix, [y, u, v]) in [
            (Matrix::Bt601, [81, 90, 240]),
            (Matrix::Bt709, [63, 102, 240]),
        ] {
            let colour = Colour {
                matrix,
                full_range: false,
            };
            let [red, green, blue] = one(colour, y, u, v);
            assert!(
                red >= 253 && green <= 2 && blue <= 2,
                "{red} {green} {blue}"
            );
        }
    }
}
