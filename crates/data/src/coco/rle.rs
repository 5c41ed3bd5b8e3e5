//! Run lengths down the columns, as numbers and as the compressed strings of pycocotools.
//!
//! In a string every length (from the fourth on: its difference to the last but one) is written in
//! groups of five bits, low ones first; each group is a character from `0` on, with 32 added when
//! more follow. Source: `rleToString` and `rleFrString` of the COCO API.

use crate::Error;

use super::mask::{Mask, check_pixels};

/// Groups of five bits that a length can need: more would overflow its sum.
const MAX_GROUPS: u32 = 8;

impl Mask {
    /// The pixels of run lengths: alternately of pixels outside and inside, down the columns.
    ///
    /// # Errors
    /// Runs that are not as long as the image has pixels.
    pub fn from_counts(counts: &[u32], width: u32, height: u32) -> Result<Self, Error> {
        decode(counts, width, height)
    }

    /// The pixels of a compressed string of run lengths (`counts` of pycocotools' `encode`).
    ///
    /// # Errors
    /// A string that breaks off or has foreign characters, and those of [`Mask::from_counts`].
    pub fn from_rle_string(text: &str, width: u32, height: u32) -> Result<Self, Error> {
        decode(&parse(text)?, width, height)
    }

    /// Run lengths, the first of pixels outside (0 when the first pixel is inside).
    pub fn counts(&self) -> Vec<u32> {
        encode(self)
    }

    /// Run lengths as pycocotools' `encode` writes them.
    pub fn rle_string(&self) -> String {
        format(&self.counts())
    }
}

/// Run lengths of a mask.
fn encode(mask: &Mask) -> Vec<u32> {
    let mut counts = Vec::new();
    let (mut run, mut inside) = (0, false);
    for x in 0..mask.width() {
        for y in 0..mask.height() {
            if mask.get(x, y) != inside {
                counts.push(run);
                (run, inside) = (0, !inside);
            }
            run += 1;
        }
    }
    counts.push(run);
    counts
}

/// The mask of run lengths.
fn decode(counts: &[u32], width: u32, height: u32) -> Result<Mask, Error> {
    let total: u64 = counts.iter().map(|&run| u64::from(run)).sum();
    if total != u64::from(width) * u64::from(height) {
        return Err(Error::row("run lengths of another image")
            .field("segmentation.counts")
            .found(format!("{total} pixels"))
            .expected(format!("{width} × {height}")));
    }
    check_pixels(width, height)?;
    let mut mask = Mask::new(width, height);
    let (mut at, mut inside) = (0_u64, false);
    for &run in counts {
        let end = at + u64::from(run);
        if inside {
            for pixel in at..end {
                let (x, y) = (pixel / u64::from(height), pixel % u64::from(height));
                mask.set(x as u32, y as u32, true);
            }
        }
        (at, inside) = (end, !inside);
    }
    Ok(mask)
}

/// Run lengths as a compressed string.
fn format(counts: &[u32]) -> String {
    let mut text = String::new();
    for (at, &run) in counts.iter().enumerate() {
        let before = if at > 2 { counts[at - 2] } else { 0 };
        let mut rest = i64::from(run) - i64::from(before);
        loop {
            let group = (rest & 31) as u8;
            rest >>= 5;
            // The sign is that of the last group's highest bit.
            let more = rest != if group & 16 != 0 { -1 } else { 0 };
            text.push(char::from(48 + group + if more { 32 } else { 0 }));
            if !more {
                break;
            }
        }
    }
    text
}

/// The run lengths of a compressed string.
fn parse(text: &str) -> Result<Vec<u32>, Error> {
    let wrong = |what: &str, at: usize| {
        Error::row(format!(
            "{what} at character {} of a compressed mask",
            at + 1
        ))
        .field("segmentation.counts")
        .expected("the string of pycocotools' encode")
    };
    let mut counts: Vec<u32> = Vec::new();
    let (mut value, mut groups) = (0_i64, 0);
    for (at, byte) in text.bytes().enumerate() {
        if !(48..112).contains(&byte) {
            return Err(wrong("a foreign character", at).found(byte.escape_ascii()));
        }
        let group = byte - 48;
        value |= i64::from(group & 31) << (5 * groups);
        groups += 1;
        if group & 32 != 0 {
            if groups == MAX_GROUPS {
                return Err(wrong("a run length that is too large", at));
            }
            continue;
        }
        if group & 16 != 0 {
            value |= -1 << (5 * groups);
        }
        if counts.len() > 2 {
            value += i64::from(counts[counts.len() - 2]);
        }
        let run = u32::try_from(value).map_err(|_| wrong("an impossible run length", at))?;
        counts.push(run);
        (value, groups) = (0, 0);
    }
    if groups > 0 {
        return Err(wrong("an unfinished run length", text.len()));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_strings_are_refused() {
        for bad in ["a b", "`", "oooooooooo0", "N", "é"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn runs_that_do_not_fill_the_image_are_refused() {
        let error = decode(&[3, 4], 4, 2).unwrap_err().to_string();
        assert!(error.contains("found 7 pixels, expected 4 × 2"), "{error}");
    }
}
