//! f32 in memory that begins at a cache line: no vector of sixteen lies across two.

use std::ops::{Deref, DerefMut};

use crate::simd::LANES;

/// A cache line of sixteen f32: the unit that packed arrays are made of.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LANES]);

impl Line {
    pub(crate) const ZERO: Line = Line([0.0; LANES]);
}

/// Whole lines, as one slice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    /// As many zeros, rounded up to whole lines.
    pub(crate) fn zeros(len: usize) -> Self {
        Self(vec![Line::ZERO; len.div_ceil(LANES)])
    }

    /// The first `len` values of memory that is kept; what they hold does not matter.
    pub(crate) fn room(&mut self, len: usize) -> &mut [f32] {
        if self.len() < len {
            self.0.resize(len.div_ceil(LANES), Line::ZERO);
        }
        &mut self[..len]
    }
}

impl Deref for Lines {
    type Target = [f32];

    #[inline(always)]
    fn deref(&self) -> &[f32] {
        // SAFETY: a line is sixteen f32 without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }
}

impl DerefMut for Lines {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}

/// The first `size` elements of memory that is kept; what they hold does not matter.
pub(crate) fn room(buffer: &mut Vec<f32>, size: usize) -> &mut [f32] {
    if buffer.len() < size {
        buffer.resize(size, 0.0);
    }
    &mut buffer[..size]
}
