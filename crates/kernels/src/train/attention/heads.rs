//! One head of `[tokens, heads, dim]`, for parts that read or write at disjoint places. A head lives no longer than its array.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// A head that is read.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    data: *const f32,
    /// Elements from one token to the next.
    pub row: usize,
    array: PhantomData<&'a [f32]>,
}

// SAFETY: a shared slice, which is only read.
unsafe impl Send for Head<'_> {}
// SAFETY: as above: only read.
unsafe impl Sync for Head<'_> {}

impl<'a> Head<'a> {
    /// The first head of an array.
    pub(super) fn new(array: &'a [f32], heads: usize, dim: usize) -> Self {
        Self {
            data: array.as_ptr(),
            row: heads * dim,
            array: PhantomData,
        }
    }

    /// The head at `offset` elements of each token.
    pub(super) fn at(self, offset: usize) -> Self {
        let data = self.data.wrapping_add(offset);
        Self { data, ..self }
    }

    pub(super) fn token(self, token: usize) -> *const f32 {
        self.data.wrapping_add(token * self.row)
    }
}

/// A head that is written, in memory that need not be written yet.
#[derive(Clone, Copy)]
pub(super) struct HeadMut<'a> {
    data: *mut f32,
    /// Elements from one token to the next.
    pub row: usize,
    array: PhantomData<&'a mut [MaybeUninit<f32>]>,
}

// SAFETY: an exclusive slice of which each part reads and writes rows that are its own only (documentation of `op`).
unsafe impl Send for HeadMut<'_> {}
// SAFETY: as above: what parts share is where their rows are.
unsafe impl Sync for HeadMut<'_> {}

impl<'a> HeadMut<'a> {
    /// The first head of an array.
    pub(super) fn new(array: &'a mut [MaybeUninit<f32>], heads: usize, dim: usize) -> Self {
        Self {
            data: array.as_mut_ptr().cast(),
            row: heads * dim,
            array: PhantomData,
        }
    }

    /// The head at `offset` elements of each token.
    pub(super) fn at(self, offset: usize) -> Self {
        let data = self.data.wrapping_add(offset);
        Self { data, ..self }
    }

    pub(super) fn token(self, token: usize) -> *mut f32 {
        self.data.wrapping_add(token * self.row)
    }
}
