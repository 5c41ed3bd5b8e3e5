//! Arrays that several threads write to.

use std::marker::PhantomData;

/// An array that tasks share; each writes to its own rows. Rows outside the array are refused, so that a wrong number of
/// rows is a panic and not somebody else's memory.
pub(crate) struct Shared<'a, T> {
    first: *mut T,
    len: usize,
    array: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: it is a `&mut [T]` cut into rows that no two tasks use at a time, as callers of `rows` promise.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above: what is shared is the right to cut, not the rows.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(array: &'a mut [T]) -> Self {
        Self {
            first: array.as_mut_ptr(),
            len: array.len(),
            array: PhantomData,
        }
    }

    /// Elements.
    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// Where the array begins, for kernels that find their rows themselves.
    pub(crate) fn first(self) -> *mut T {
        self.first
    }

    /// Where an element is, for loops whose rows were compared with [`len`](Self::len) once.
    ///
    /// # Safety
    /// `at` is below `len`.
    #[inline(always)]
    pub(crate) unsafe fn at(self, at: usize) -> *mut T {
        debug_assert!(at < self.len);
        // SAFETY: inside the array, as the caller promises.
        unsafe { self.first.add(at) }
    }

    /// # Safety
    /// Nobody else uses these elements as long as the slice lives.
    ///
    /// # Panics
    /// When the array has not these elements.
    #[inline(always)]
    pub(crate) unsafe fn rows(self, start: usize, len: usize) -> &'a mut [T] {
        assert!(
            start <= self.len && len <= self.len - start,
            "{len} elements from {start} of {}",
            self.len
        );
        // SAFETY: inside the array, as just checked; alone, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(start), len) }
    }
}
