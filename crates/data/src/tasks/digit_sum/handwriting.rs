//! The embedded UCI handwriting and its division into train and test.

use std::io::Read;
use std::sync::OnceLock;

use super::config::Split;
use crate::tasks::random::Random;

/// Made by `tools/digits.py`; licence in `assets/LICENCE-digits.md`.
const PACKED: &[u8] = include_bytes!("../../../assets/digits.bin.gz");
/// Label and 64 ink values.
const RECORD: usize = 1 + SIDE * SIDE;
/// Width and height of one handwriting image.
pub(super) const SIDE: usize = 8;
/// Ink values run from 0 to 16 (the number of dark pixels in a 4×4 block of the original bitmap).
const MAX_INK: f32 = 16.0;
/// Every fifth image of a class is held out: 20 %.
const HOLD_OUT: usize = 5;

/// One handwritten digit.
#[derive(Debug)]
pub(super) struct Handwriting {
    pub(super) label: u8,
    ink: [u8; SIDE * SIDE],
    /// First and one-past-last column with ink.
    pub(super) columns: (usize, usize),
}

impl Handwriting {
    fn new(record: &[u8]) -> Self {
        let mut ink = [0; SIDE * SIDE];
        ink.copy_from_slice(&record[1..]);
        let inked = |column: &usize| (0..SIDE).any(|row| ink[row * SIDE + column] > 0);
        let first = (0..SIDE).find(inked).unwrap_or(0);
        let last = (0..SIDE).rev().find(inked).unwrap_or(SIDE - 1);
        Self {
            label: record[0],
            ink,
            columns: (first, last + 1),
        }
    }

    /// Ink in `[0, 1]`; blank outside the image.
    pub(super) fn ink(&self, row: isize, column: isize) -> f32 {
        let inside = 0..SIDE as isize;
        if !inside.contains(&row) || !inside.contains(&column) {
            return 0.0;
        }
        f32::from(self.ink[row as usize * SIDE + column as usize]) / MAX_INK
    }
}

/// All 1 797 images in the order of the source.
pub(super) fn all() -> &'static [Handwriting] {
    static ALL: OnceLock<Vec<Handwriting>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(PACKED)
            .read_to_end(&mut bytes)
            .expect("the embedded asset is a whole gzip stream, which a test reads");
        bytes.chunks_exact(RECORD).map(Handwriting::new).collect()
    })
}

/// Indices into [`all`] of one split, by label; `limit` keeps that many images in all, spread evenly over the labels.
///
/// The order within a label is a fixed shuffle: the source is ordered by writer, and a small `limit` should still see
/// many writers.
pub(super) fn by_label(split: Split, limit: Option<usize>) -> [Vec<usize>; 10] {
    std::array::from_fn(|label| {
        let of_label = all()
            .iter()
            .enumerate()
            .filter(|(_, h)| usize::from(h.label) == label);
        let mut chosen: Vec<usize> = of_label
            .enumerate()
            .filter(|(nth, _)| (nth % HOLD_OUT == HOLD_OUT - 1) == (split == Split::Test))
            .map(|(_, (index, _))| index)
            .collect();
        Random::new(&[label as u64]).shuffle(&mut chosen);
        if let Some(limit) = limit {
            chosen.truncate(limit / 10 + usize::from(label < limit % 10));
        }
        chosen
    })
}
