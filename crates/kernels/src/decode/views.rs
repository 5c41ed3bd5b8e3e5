//! Rows in arrays, for kernels that address them by pointers. A view lives no longer than its array.

use std::marker::PhantomData;

/// Rows of queries or weights, `row` elements apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(super) data: *const f32,
    pub(super) row: usize,
    pub(super) len: usize,
    array: PhantomData<&'a [f32]>,
}

impl<'a> Rows<'a> {
    /// # Panics
    /// When the array ends before the last of `len` rows begins.
    #[inline(always)]
    pub(crate) fn new(array: &'a [f32], row: usize, len: usize) -> Self {
        check(array.len(), row, len);
        Self {
            data: array.as_ptr(),
            row,
            len,
            array: PhantomData,
        }
    }

    /// Some of the rows.
    #[inline(always)]
    pub(crate) fn part(self, first: usize, len: usize) -> Self {
        let data = self.data.wrapping_add(first * self.row);
        Self { data, len, ..self }
    }

    /// The same rows from a later column on.
    #[inline(always)]
    pub(crate) fn shift(self, columns: usize) -> Self {
        let data = self.data.wrapping_add(columns);
        Self { data, ..self }
    }
}

/// Rows of scores that are written, `row` elements apart. Copies name the same rows; those who hold them write one after
/// the other, since none leaves its thread.
#[derive(Clone, Copy)]
pub(crate) struct RowsMut<'a> {
    pub(super) data: *mut f32,
    pub(super) row: usize,
    array: PhantomData<&'a mut [f32]>,
}

impl<'a> RowsMut<'a> {
    /// # Panics
    /// When the array ends before the last of `len` rows begins.
    #[inline(always)]
    pub(crate) fn new(array: &'a mut [f32], row: usize, len: usize) -> Self {
        check(array.len(), row, len);
        Self {
            data: array.as_mut_ptr(),
            row,
            array: PhantomData,
        }
    }

    /// The rows from `first` on.
    #[inline(always)]
    pub(crate) fn from(self, first: usize) -> Self {
        let data = self.data.wrapping_add(first * self.row);
        Self { data, ..self }
    }

    /// The same rows from a later column on.
    #[inline(always)]
    pub(crate) fn shift(self, columns: usize) -> Self {
        let data = self.data.wrapping_add(columns);
        Self { data, ..self }
    }
}

#[inline(always)]
fn check(elements: usize, row: usize, len: usize) {
    assert!(
        len <= 1 || (len - 1) * row <= elements,
        "{len} rows {row} apart in {elements} values"
    );
}
