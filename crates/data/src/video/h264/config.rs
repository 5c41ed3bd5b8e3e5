//! `avcC`: the parameter sets of an H.264 track, and how long the lengths before its NAL units are.

use super::sps::Sps;
use crate::video::bytes::Bytes;

/// NAL units of this type are slices of a picture that needs no other (an IDR picture).
const IDR_SLICE: u8 = 5;

/// The types of slices.
const SLICES: std::ops::RangeInclusive<u8> = 1..=5;

/// What a decoder needs before the first picture.
#[derive(Debug, Clone)]
pub(crate) struct AvcConfig {
    /// Bytes of the length before each NAL unit.
    pub(crate) length_bytes: usize,
    /// Parameter sets with start codes.
    pub(crate) headers: Vec<u8>,
    pub(crate) sps: Sps,
}

const START_CODE: [u8; 4] = [0, 0, 0, 1];

impl AvcConfig {
    /// Reads the body of an `avcC` box; none when it breaks off or has no sequence parameter set.
    pub(crate) fn read(avcc: &[u8]) -> Option<Self> {
        let mut bytes = Bytes::new(avcc);
        bytes.take(4)?;
        let length_bytes = usize::from(bytes.u8()? & 3) + 1;
        let mut headers = Vec::new();
        let mut sps = None;
        let sets = bytes.u8()? & 31;
        for _ in 0..sets {
            let length = bytes.u16()?;
            let nal = bytes.take(length.into())?;
            sps = sps.or_else(|| Sps::read(nal));
            headers.extend(START_CODE);
            headers.extend(nal);
        }
        for _ in 0..bytes.u8()? {
            let length = bytes.u16()?;
            headers.extend(START_CODE);
            headers.extend(bytes.take(length.into())?);
        }
        Some(Self {
            length_bytes,
            headers,
            sps: sps?,
        })
    }

    /// Appends a sample to `out`, its lengths as start codes; none when a length reaches behind the sample's end.
    pub(crate) fn annex_b(&self, sample: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut bytes = Bytes::new(sample);
        while !bytes.rest().is_empty() {
            let length = self.length(&mut bytes)?;
            out.extend(START_CODE);
            out.extend(bytes.take(length)?);
        }
        Some(())
    }

    fn length(&self, bytes: &mut Bytes<'_>) -> Option<usize> {
        let digits = bytes.take(self.length_bytes)?;
        Some(digits.iter().fold(0, |sum, &b| sum << 8 | usize::from(b)))
    }

    /// Whether a sample is an IDR picture, by the first slice in it; `read` gives the bytes at a place of the sample.
    /// None when the sample breaks off before a slice.
    pub(crate) fn is_idr(
        &self,
        size: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Option<()>,
    ) -> Option<bool> {
        let mut at = 0;
        while at < size {
            let mut head = [0; 5];
            let head = &mut head[..=self.length_bytes];
            read(at, head)?;
            let length = self.length(&mut Bytes::new(head))? as u64;
            let kind = head[self.length_bytes] & 31;
            if SLICES.contains(&kind) {
                return Some(kind == IDR_SLICE);
            }
            at = at
                .checked_add(self.length_bytes as u64)?
                .checked_add(length)?;
        }
        None
    }
}
