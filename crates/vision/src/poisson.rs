//! Continuing a picture into a region: with given gradients (seamless cloning) or with none (a
//! membrane).
//!
//! In the region Ω, `f` minimises `Σ (f_p − f_q − v_pq)²` over neighbouring pixels p, q with p in Ω
//! and `f = target` outside, which is the linear system
//!
//! `n_p f_p − Σ_{q∈Ω} f_q = Σ_{q∉Ω} target_q + Σ_q v_pq`
//!
//! with `n_p` the neighbours of p in the picture and `v_pq = source_p − source_q` (or 0). Source:
//! P. Pérez, M. Gangnet, A. Blake, *Poisson Image Editing*, SIGGRAPH 2003, eq. 7. Solved by
//! conjugate gradients, each channel for itself.

use image::RgbImage;
use percept_data::coco::Mask;

use crate::Error;
use crate::fits::fits;
use crate::picture::Picture;

/// What the equations may be off by, in levels of 255: far below a rounding step.
const RESIDUAL: f64 = 1e-4;

/// A region as a system of equations.
struct Region {
    /// Pixels, row by row, as places in the picture.
    places: Vec<usize>,
    /// For each: the ranks of its neighbours in the region, filled up with the number of pixels (a
    /// place that always holds 0), and how many neighbours it has in the picture.
    inner: Vec<([u32; 4], f64)>,
    /// Pairs of a pixel (by its rank) and a neighbour outside the region, by place.
    border: Vec<(u32, usize)>,
    width: usize,
    height: usize,
}

impl Region {
    fn new(mask: &Mask) -> Result<Self, Error> {
        let (width, height) = (mask.width() as usize, mask.height() as usize);
        let mut rank = vec![u32::MAX; width * height];
        let mut places = Vec::new();
        for (x, y) in mask.pixels() {
            let place = y as usize * width + x as usize;
            rank[place] = places.len() as u32;
            places.push(place);
        }
        if places.len() == width * height {
            return Err(Error::Covered {
                what: "the whole picture",
            });
        }
        let (mut inner, mut border) = (Vec::with_capacity(places.len()), Vec::new());
        for (at, &place) in places.iter().enumerate() {
            let mut inside = [places.len() as u32; 4];
            let mut count = 0.0;
            for (slot, neighbour) in inside.iter_mut().zip(neighbours(place, width, height)) {
                count += 1.0;
                match rank[neighbour] {
                    u32::MAX => border.push((at as u32, neighbour)),
                    rank => *slot = rank,
                }
            }
            inner.push((inside, count));
        }
        Ok(Self {
            places,
            inner,
            border,
            width,
            height,
        })
    }

    /// The left side of the equations. Vectors have a 0 behind their last pixel.
    fn apply(&self, f: &[f64], out: &mut [f64]) {
        for ((out, (inside, count)), own) in out.iter_mut().zip(&self.inner).zip(f) {
            let [a, b, c, d] = inside.map(|q| f[q as usize]);
            *out = count * own - (a + b + c + d);
        }
    }

    /// The right side, for one channel.
    fn right(&self, target: &Picture, guide: Option<&Picture>, channel: usize) -> Vec<f64> {
        let mut right = vec![0.0; self.places.len() + 1];
        for &(at, neighbour) in &self.border {
            right[at as usize] += f64::from(target.colours[neighbour][channel]);
        }
        let Some(guide) = guide else {
            return right;
        };
        for (right, &place) in right.iter_mut().zip(&self.places) {
            let own = f64::from(guide.colours[place][channel]);
            for neighbour in neighbours(place, self.width, self.height) {
                *right += own - f64::from(guide.colours[neighbour][channel]);
            }
        }
        right
    }

    /// Conjugate gradients from `f` on.
    fn solve(&self, right: &[f64], f: &mut [f64]) {
        let mut product = vec![0.0; f.len()];
        self.apply(f, &mut product);
        let mut rest: Vec<f64> = right.iter().zip(&product).map(|(b, a)| b - a).collect();
        let mut direction = rest.clone();
        let mut square = dot(&rest, &rest);
        // In exact arithmetic as many steps as pixels are enough.
        for _ in 0..f.len().max(100) {
            if rest.iter().all(|r| r.abs() <= RESIDUAL) {
                return;
            }
            self.apply(&direction, &mut product);
            let step = square / dot(&direction, &product);
            for (((f, rest), d), a) in f.iter_mut().zip(&mut rest).zip(&direction).zip(&product) {
                *f += step * d;
                *rest -= step * a;
            }
            let before = std::mem::replace(&mut square, dot(&rest, &rest));
            let turn = square / before;
            for (d, r) in direction.iter_mut().zip(&rest) {
                *d = r + turn * *d;
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn neighbours(place: usize, width: usize, height: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (place % width, place / width);
    let at = |is: bool, place: usize| is.then_some(place);
    [
        at(y > 0, place.wrapping_sub(width)),
        at(x > 0, place.wrapping_sub(1)),
        at(x + 1 < width, place + 1),
        at(y + 1 < height, place + width),
    ]
    .into_iter()
    .flatten()
}

/// The colours of a region, in the order of [`Mask::pixels`], in levels that are not rounded.
pub(crate) fn continued(
    target: &Picture,
    guide: Option<&Picture>,
    mask: &Mask,
) -> Result<Vec<[f64; 3]>, Error> {
    let region = Region::new(mask)?;
    let mut colours = vec![[0.0; 3]; region.places.len()];
    let start = guide.unwrap_or(target);
    for channel in 0..3 {
        let right = region.right(target, guide, channel);
        let first = region
            .places
            .iter()
            .map(|&place| f64::from(start.colours[place][channel]));
        let mut f: Vec<f64> = first.chain([0.0]).collect();
        region.solve(&right, &mut f);
        for (colour, f) in colours.iter_mut().zip(f) {
            colour[channel] = f;
        }
    }
    Ok(colours)
}

/// `target` with the details of `source` inside the mask: the source's gradients, the target's
/// colours around it. Both have the same size.
///
/// # Errors
/// A mask or source that does not fit the picture, or a mask that covers all of it.
pub(crate) fn clone_seamlessly(
    target: &RgbImage,
    source: &RgbImage,
    mask: &Mask,
) -> Result<RgbImage, Error> {
    fits(target, mask)?;
    fits(source, mask)?;
    let colours = continued(&Picture::of(target), Some(&Picture::of(source)), mask)?;
    Ok(written(target, mask, &colours))
}

fn written(target: &RgbImage, mask: &Mask, colours: &[[f64; 3]]) -> RgbImage {
    let mut image = target.clone();
    for ((x, y), colour) in mask.pixels().zip(colours) {
        let levels = colour.map(|c| crate::picture::level(c as f32));
        image.put_pixel(x, y, image::Rgb(levels));
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;
    use image::Rgb;

    /// `target` with the region continued as smoothly as a membrane (Laplace's equation).
    fn membrane(target: &RgbImage, mask: &Mask) -> Result<RgbImage, Error> {
        fits(target, mask)?;
        let colours = continued(&Picture::of(target), None, mask)?;
        Ok(written(target, mask, &colours))
    }

    /// A dark picture and a bright one with a brighter spot: the spot arrives, the brightness does not.
    #[test]
    fn details_of_the_source_arrive_and_its_brightness_does_not() {
        let dark = RgbImage::from_pixel(9, 9, Rgb([10; 3]));
        let mut bright = RgbImage::from_pixel(9, 9, Rgb([200; 3]));
        bright.put_pixel(4, 4, Rgb([240; 3]));
        let mask = Mask::from_fn(9, 9, |x, y| (2..7).contains(&x) && (2..7).contains(&y));
        let cloned = clone_seamlessly(&dark, &bright, &mask).unwrap();
        assert_eq!(cloned.get_pixel(4, 4).0, [50; 3]);
        assert_eq!(cloned.get_pixel(2, 2).0, [10; 3]);
    }

    fn noise(width: u32, height: u32, seed: u64) -> RgbImage {
        let mut random = stream(&[seed]);
        RgbImage::from_fn(width, height, |_, _| {
            Rgb([0; 3].map(|_: u8| random.below(256) as u8))
        })
    }

    /// Two blobs, one of which touches the picture's edge.
    fn blobs() -> Mask {
        Mask::from_fn(40, 30, |x, y| {
            let disc = |cx: i64, cy: i64, r: i64| {
                (i64::from(x) - cx).pow(2) + (i64::from(y) - cy).pow(2) <= r * r
            };
            disc(14, 14, 8) || disc(36, 20, 7)
        })
    }

    #[test]
    fn cloning_keeps_the_gradients_of_the_source_and_the_border_of_the_target() {
        let (target, source, mask) = (noise(40, 30, 1), noise(40, 30, 2), blobs());
        let (t, s) = (Picture::of(&target), Picture::of(&source));
        let colours = continued(&t, Some(&s), &mask).unwrap();
        let mut f = t
            .clone()
            .colours
            .iter()
            .map(|c| c.map(f64::from))
            .collect::<Vec<_>>();
        for ((x, y), colour) in mask.pixels().zip(&colours) {
            f[y as usize * 40 + x as usize] = *colour;
        }
        // The discrete Laplacian of the result is the source's everywhere in the region, with the
        // target's own values around it.
        let source: Vec<_> = s.colours.iter().map(|c| c.map(f64::from)).collect();
        let laplacian = |f: &[[f64; 3]], place: usize, c: usize| -> f64 {
            neighbours(place, 40, 30)
                .map(|q| f[place][c] - f[q][c])
                .sum()
        };
        for (x, y) in mask.pixels() {
            let place = y as usize * 40 + x as usize;
            for c in 0..3 {
                let (ours, theirs) = (laplacian(&f, place, c), laplacian(&source, place, c));
                assert!((ours - theirs).abs() <= 1e-3, "({x}, {y}): {ours} {theirs}");
            }
        }
    }

    #[test]
    fn cloning_a_picture_into_itself_changes_nothing() {
        let image = noise(40, 30, 3);
        assert_eq!(clone_seamlessly(&image, &image, &blobs()).unwrap(), image);
    }

    #[test]
    fn a_membrane_continues_a_slope_and_exceeds_no_border_value() {
        let slope = RgbImage::from_fn(40, 30, |x, y| Rgb([(3 * x + 2 * y) as u8, 9, 200]));
        let mut damaged = slope.clone();
        let mask = Mask::from_fn(40, 30, |x, y| (8..30).contains(&x) && (5..22).contains(&y));
        for (x, y) in mask.pixels() {
            damaged.put_pixel(x, y, Rgb([255, 0, 255]));
        }
        assert_eq!(membrane(&damaged, &mask).unwrap(), slope);
    }

    #[test]
    fn a_picture_without_a_border_is_refused() {
        let image = noise(4, 4, 1);
        let all = Mask::from_fn(4, 4, |_, _| true);
        assert!(matches!(membrane(&image, &all), Err(Error::Covered { .. })));
        assert!(matches!(
            membrane(&image, &Mask::new(3, 4)),
            Err(Error::Size { .. })
        ));
        assert_eq!(membrane(&image, &Mask::new(4, 4)).unwrap(), image);
    }
}
