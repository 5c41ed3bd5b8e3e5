//! CPU kernels of the operators: f32 slices in, f32 slices out, each with its analytic backward.

use std::mem::MaybeUninit;

use crate::host::simd::LANES;

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod gated;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod log_prob;
pub(crate) mod norm;
pub(crate) mod pointwise;
pub(crate) mod rows;

/// Rows per rayon task of row-wise kernels. Fixed, so that sums over tasks do not depend on the
/// number of threads.
const TASK_ROWS: usize = 128;

/// Elements per rayon task of element-wise kernels.
const TASK: usize = 16_384;

/// Offsets and lengths of the vectors that cover `len` elements.
#[inline(always)]
fn vectors(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len)
        .step_by(LANES)
        .map(move |at| (at, LANES.min(len - at)))
}

/// An array for a kernel that writes every element before anybody reads one: zeros would be one
/// more pass over memory, on one thread. Until all is written nobody gets a number of it.
#[derive(Debug)]
pub(crate) struct Unwritten {
    /// Empty; the elements are its spare room.
    array: Vec<f32>,
    len: usize,
}

impl Unwritten {
    /// Room for `len` elements.
    pub(crate) fn new(len: usize) -> Self {
        let array = Vec::with_capacity(len);
        Self { array, len }
    }

    /// The elements, to be written.
    pub(crate) fn slots(&mut self) -> &mut [MaybeUninit<f32>] {
        &mut self.array.spare_capacity_mut()[..self.len]
    }

    /// The array.
    ///
    /// # Safety
    /// Every one of the [`slots`](Self::slots) was written.
    pub(crate) unsafe fn written(mut self) -> Vec<f32> {
        // SAFETY: `new` made room for `len` elements, and the caller says that they are written.
        unsafe { self.array.set_len(self.len) };
        self.array
    }
}

/// A written array as slots: for kernels that fill new memory, and may as well write over old.
pub(crate) fn slots(array: &mut [f32]) -> &mut [MaybeUninit<f32>] {
    let (first, len) = (array.as_mut_ptr(), array.len());
    // SAFETY: the same memory and lifetime; `MaybeUninit<f32>` has the layout of `f32`. What is written through the slots
    // are numbers: this module's kernels store nothing else.
    unsafe { std::slice::from_raw_parts_mut(first.cast(), len) }
}
