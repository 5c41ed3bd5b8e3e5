//! The sequence parameter set: picture size, kind of samples, colour (H.264, 7.3.2.1 and annex E).

use super::bits::Bits;
use crate::video::colour::{Colour, Matrix};

/// What a sequence parameter set says of the pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sps {
    pub(crate) profile: u8,
    /// 1 is 4:2:0.
    pub(crate) chroma_format: u32,
    pub(crate) luma_bits: u32,
    pub(crate) chroma_bits: u32,
    /// Whether all pictures are whole frames, none fields.
    pub(crate) progressive: bool,
    pub(crate) macroblocks: u64,
    /// Width and height behind the cropping.
    pub(crate) size: (u32, u32),
    /// Width of a pixel over its height; 1:1 where nothing is said.
    pub(crate) pixel_aspect: (u32, u32),
    /// None where nothing is said.
    pub(crate) matrix: Option<Matrix>,
    pub(crate) full_range: Option<bool>,
}

/// Profiles whose parameter set has chroma format, bit depth and scaling lists.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// Pixel aspects by number (table E-1).
const ASPECTS: [(u32, u32); 17] = [
    (1, 1),
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

impl Sps {
    /// Reads a NAL unit, its header byte included; none when it breaks off or says what cannot be.
    pub(crate) fn read(nal: &[u8]) -> Option<Self> {
        let mut bits = Bits::of_nal(nal.get(1..)?);
        let profile = bits.number(8)? as u8;
        bits.number(16)?; // constraints, level
        bits.unsigned()?; // its id
        let (mut chroma_format, mut luma_bits, mut chroma_bits) = (1, 8, 8);
        let mut planes = false;
        if HIGH_PROFILES.contains(&profile) {
            chroma_format = bits.unsigned()?;
            if chroma_format == 3 {
                planes = bits.bit()?;
            }
            luma_bits = bits.unsigned()?.checked_add(8)?;
            chroma_bits = bits.unsigned()?.checked_add(8)?;
            bits.bit()?;
            if bits.bit()? {
                let lists = if chroma_format == 3 { 12 } else { 8 };
                for list in 0..lists {
                    if bits.bit()? {
                        skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        bits.unsigned()?; // log2_max_frame_num_minus4
        match bits.unsigned()? {
            0 => {
                bits.unsigned()?;
            }
            1 => {
                bits.bit()?;
                bits.signed()?;
                bits.signed()?;
                let cycle = bits.unsigned()?;
                for _ in 0..cycle {
                    bits.signed()?;
                }
            }
            _ => {}
        }
        bits.unsigned()?; // max_num_ref_frames
        bits.bit()?;
        let across = u64::from(bits.unsigned()?) + 1;
        let map_rows = u64::from(bits.unsigned()?) + 1;
        let progressive = bits.bit()?;
        let fields = if progressive { 1 } else { 2 };
        if !progressive {
            bits.bit()?;
        }
        bits.bit()?;
        let down = map_rows * fields;
        let mut crop = [0; 4];
        if bits.bit()? {
            for side in &mut crop {
                *side = u64::from(bits.unsigned()?);
            }
        }
        let (unit_x, unit_y) = match (chroma_format, planes) {
            (1, _) => (2, 2),
            (2, _) => (2, 1),
            _ => (1, 1),
        };
        let [left, right, top, bottom] = crop;
        let width = (across * 16).checked_sub((left + right) * unit_x)?;
        let height = (down * 16).checked_sub((top + bottom) * unit_y * fields)?;
        let mut sps = Self {
            profile,
            chroma_format,
            luma_bits,
            chroma_bits,
            progressive,
            macroblocks: across.checked_mul(down)?,
            size: (width.try_into().ok()?, height.try_into().ok()?),
            pixel_aspect: (1, 1),
            matrix: None,
            full_range: None,
        };
        if bits.bit()? {
            // What stands behind a break is not needed: some encoders write short ones.
            sps.read_usability(&mut bits);
        }
        Some(sps)
    }

    fn read_usability(&mut self, bits: &mut Bits) -> Option<()> {
        if bits.bit()? {
            let aspect = match bits.number(8)? {
                255 => (bits.number(16)?, bits.number(16)?),
                known => *ASPECTS.get(known as usize)?,
            };
            if aspect.0 > 0 && aspect.1 > 0 {
                self.pixel_aspect = aspect;
            }
        }
        if bits.bit()? {
            bits.bit()?; // overscan
        }
        if bits.bit()? {
            bits.number(3)?;
            self.full_range = Some(bits.bit()?);
            if bits.bit()? {
                bits.number(16)?; // primaries, transfer
                self.matrix = Matrix::from_code(bits.number(8)?);
            }
        }
        Some(())
    }

    /// How its samples become RGB, with what the container says (`outer`) where the stream says nothing.
    pub(crate) fn colour(&self, outer: Option<Colour>) -> Colour {
        let outer = outer.unwrap_or_default();
        Colour {
            matrix: self.matrix.unwrap_or(outer.matrix),
            full_range: self.full_range.unwrap_or(outer.full_range),
        }
    }
}

fn skip_scaling_list(bits: &mut Bits, size: usize) -> Option<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}
