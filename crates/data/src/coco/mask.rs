//! A set of pixels.

use crate::{Error, MAX_PIXELS};

/// A rectangle of whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rect {
    /// First column.
    pub x: u32,
    /// First row.
    pub y: u32,
    /// Columns; at least 1 where a mask gives it.
    pub width: u32,
    /// Rows; at least 1 where a mask gives it.
    pub height: u32,
}

/// A set of pixels of an image: a bitmap in rows.
#[derive(Clone, PartialEq, Eq)]
pub struct Mask {
    width: u32,
    height: u32,
    bits: Vec<bool>,
}

/// Refuses a size that no image which can be read has: an annotation file may say any.
pub(super) fn check_pixels(width: u32, height: u32) -> Result<(), Error> {
    if u64::from(width) * u64::from(height) <= MAX_PIXELS {
        return Ok(());
    }
    Err(Error::row("a mask of an image that is too large")
        .field("segmentation")
        .found(format!("{width} × {height}"))
        .expected(format!("at most {MAX_PIXELS} pixels")))
}

impl Mask {
    /// No pixel of an image of this size.
    pub fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            bits: vec![false; width as usize * height as usize],
        }
    }

    /// The pixels for which `inside(x, y)` holds.
    pub fn from_fn(width: u32, height: u32, inside: impl Fn(u32, u32) -> bool) -> Self {
        let rows = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Self {
            width,
            height,
            bits: rows.map(|(x, y)| inside(x, y)).collect(),
        }
    }

    /// The pixels of a rectangle, as far as they lie in the image.
    pub fn from_rect(width: u32, height: u32, rect: Rect) -> Self {
        let right = rect.x.saturating_add(rect.width);
        let bottom = rect.y.saturating_add(rect.height);
        Self::from_fn(width, height, |x, y| {
            (rect.x..right).contains(&x) && (rect.y..bottom).contains(&y)
        })
    }

    /// Columns of the image.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows of the image.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// One flag for each pixel, row by row.
    pub fn bits(&self) -> &[bool] {
        &self.bits
    }

    /// Whether a pixel is inside; those beyond the image are not.
    pub fn get(&self, x: u32, y: u32) -> bool {
        x < self.width && y < self.height && self.bits[self.at(x, y)]
    }

    /// Puts a pixel inside or outside; beyond the image nothing happens.
    pub fn set(&mut self, x: u32, y: u32, inside: bool) {
        if x < self.width && y < self.height {
            let at = self.at(x, y);
            self.bits[at] = inside;
        }
    }

    /// Pixels inside.
    pub fn area(&self) -> usize {
        self.bits.iter().filter(|&&inside| inside).count()
    }

    /// Whether no pixel is inside.
    pub fn is_empty(&self) -> bool {
        !self.bits.contains(&true)
    }

    /// The pixels inside as `(x, y)`, row by row.
    pub fn pixels(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let width = self.width as usize;
        let inside = self.bits.iter().enumerate().filter(|(_, inside)| **inside);
        inside.map(move |(at, _)| ((at % width) as u32, (at / width) as u32))
    }

    /// The smallest rectangle around the pixels inside; `None` when there are none.
    pub fn bounding_box(&self) -> Option<Rect> {
        let mut corners: Option<(u32, u32, u32, u32)> = None;
        for (x, y) in self.pixels() {
            let (left, top, right, bottom) = corners.unwrap_or((x, y, x, y));
            corners = Some((left.min(x), top.min(y), right.max(x), bottom.max(y)));
        }
        let (left, top, right, bottom) = corners?;
        Some(Rect {
            x: left,
            y: top,
            width: right - left + 1,
            height: bottom - top + 1,
        })
    }

    /// Grown by a square of `kernel` × `kernel` pixels, `iterations` times over: OpenCV's `dilate`
    /// with a kernel of ones and its anchor in the middle. A kernel of 0 or 1 changes nothing.
    #[must_use]
    pub fn dilate(&self, kernel: u32, iterations: u32) -> Self {
        // n squares of side k are one square; OpenCV's anchor k/2 makes an even one reach further
        // to the left of its source than to the right.
        let before = (kernel / 2).saturating_mul(iterations) as usize;
        let after = (kernel.max(1) - 1 - kernel.max(1) / 2).saturating_mul(iterations) as usize;
        let (width, height) = (self.width as usize, self.height as usize);
        let mut grown = self.clone();
        let mut line = Vec::new();
        for y in 0..height {
            line.clear();
            line.extend_from_slice(&self.bits[y * width..][..width]);
            spread(&line, before, after, |x, inside| {
                grown.bits[y * width + x] = inside;
            });
        }
        for x in 0..width {
            line.clear();
            line.extend((0..height).map(|y| grown.bits[y * width + x]));
            spread(&line, before, after, |y, inside| {
                grown.bits[y * width + x] = inside;
            });
        }
        grown
    }

    /// The pixels of either.
    ///
    /// # Errors
    /// Masks of images of different sizes.
    pub fn union(&self, other: &Self) -> Result<Self, Error> {
        self.combined(other, |a, b| a || b)
    }

    /// The pixels of this one that are not in `other`.
    ///
    /// # Errors
    /// Masks of images of different sizes.
    pub fn minus(&self, other: &Self) -> Result<Self, Error> {
        self.combined(other, |a, b| a && !b)
    }

    /// The pixels of both.
    ///
    /// # Errors
    /// Masks of images of different sizes.
    pub fn intersection(&self, other: &Self) -> Result<Self, Error> {
        self.combined(other, |a, b| a && b)
    }

    fn combined(&self, other: &Self, op: impl Fn(bool, bool) -> bool) -> Result<Self, Error> {
        if (self.width, self.height) != (other.width, other.height) {
            return Err(Error::row("masks of images of different sizes")
                .found(format!("{} × {}", other.width, other.height))
                .expected(format!("{} × {}", self.width, self.height)));
        }
        let pairs = self.bits.iter().zip(&other.bits);
        Ok(Self {
            width: self.width,
            height: self.height,
            bits: pairs.map(|(&a, &b)| op(a, b)).collect(),
        })
    }

    fn at(&self, x: u32, y: u32) -> usize {
        y as usize * self.width as usize + x as usize
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (width, height, area) = (self.width, self.height, self.area());
        write!(f, "Mask({width} × {height}, {area} pixels)")
    }
}

/// Calls `write` with every place of a line and whether a set one is within `before` places behind
/// it or `after` places ahead of it.
fn spread(line: &[bool], before: usize, after: usize, mut write: impl FnMut(usize, bool)) {
    // Set places up to and without each one.
    let mut sums = Vec::with_capacity(line.len() + 1);
    sums.push(0_usize);
    let mut sum = 0;
    for &inside in line {
        sum += usize::from(inside);
        sums.push(sum);
    }
    for at in 0..line.len() {
        let first = at.saturating_sub(before);
        let end = at.saturating_add(after + 1).min(line.len());
        write(at, sums[end] > sums[first]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masks() -> impl Strategy<Value = Mask> {
        (1_u32..12, 1_u32..12).prop_flat_map(|(width, height)| {
            prop::collection::vec(prop::bool::weighted(0.15), (width * height) as usize).prop_map(
                move |bits| Mask {
                    width,
                    height,
                    bits,
                },
            )
        })
    }

    /// OpenCV's definition: `dst(x) = max over the kernel of src(x + x' − anchor)`.
    fn dilated_once(mask: &Mask, kernel: u32) -> Mask {
        let anchor = i64::from(kernel / 2);
        Mask::from_fn(mask.width, mask.height, |x, y| {
            let reach = |at: u32, k: u32| u32::try_from(i64::from(at) + i64::from(k) - anchor);
            (0..kernel).any(|ky| {
                (0..kernel).any(|kx| match (reach(x, kx), reach(y, ky)) {
                    (Ok(x), Ok(y)) => mask.get(x, y),
                    _ => false,
                })
            })
        })
    }

    proptest! {
        #[test]
        fn dilating_many_times_is_dilating_once_and_again(
            mask in masks(), kernel in 1_u32..6, iterations in 0_u32..4
        ) {
            let mut expected = mask.clone();
            for _ in 0..iterations {
                expected = dilated_once(&expected, kernel);
            }
            prop_assert_eq!(mask.dilate(kernel, iterations), expected);
        }

        #[test]
        fn what_is_taken_away_and_what_stays_are_the_whole(a in masks(), seed in any::<u64>()) {
            let b = Mask::from_fn(a.width, a.height, |x, y| {
                (seed >> ((x * 7 + y * 3) % 64)) & 1 == 1
            });
            let (gone, kept) = (a.minus(&b).unwrap(), a.intersection(&b).unwrap());
            prop_assert!(gone.intersection(&b).unwrap().is_empty());
            prop_assert_eq!(gone.union(&kept).unwrap(), a);
        }

        #[test]
        fn run_lengths_give_the_mask_back(mask in masks()) {
            let (width, height) = (mask.width, mask.height);
            prop_assert_eq!(&Mask::from_counts(&mask.counts(), width, height).unwrap(), &mask);
            let text = mask.rle_string();
            prop_assert_eq!(&Mask::from_rle_string(&text, width, height).unwrap(), &mask);
        }
    }

    #[test]
    fn the_bounding_box_of_a_rectangle_is_the_rectangle() {
        let rect = Rect {
            x: 2,
            y: 1,
            width: 3,
            height: 4,
        };
        let mask = Mask::from_rect(9, 8, rect);
        assert_eq!(mask.bounding_box(), Some(rect));
        assert_eq!(mask.area(), 12);
        assert_eq!(Mask::new(9, 8).bounding_box(), None);
    }

    #[test]
    fn masks_of_different_images_do_not_mix() {
        let error = Mask::new(3, 2).union(&Mask::new(2, 3)).unwrap_err();
        assert!(error.to_string().contains("found 2 × 3, expected 3 × 2"));
    }

    #[test]
    fn polygons_that_are_none_are_refused_by_place() {
        for bad in [vec![0.0; 5], vec![1.0; 4], vec![f64::NAN; 6]] {
            let good = vec![0.0, 0.0, 2.0, 0.0, 2.0, 2.0];
            let error = Mask::from_polygons(&[good, bad], 4, 4).unwrap_err();
            assert!(error.to_string().contains("segmentation[1]"), "{error}");
        }
    }
}
