//! New memory that a kernel writes before anybody reads it.

use std::mem::MaybeUninit;

/// An array for a kernel that writes every element before anybody reads one: zeros would be one
/// more pass over memory, on one thread. Until all is written nobody gets a number of it.
#[derive(Debug)]
pub(crate) struct Unwritten<T = f32> {
    /// Empty; the elements are its spare room.
    array: Vec<T>,
    len: usize,
}

impl<T> Unwritten<T> {
    /// Room for `len` elements.
    pub(crate) fn new(len: usize) -> Self {
        let array = Vec::with_capacity(len);
        Self { array, len }
    }

    /// The elements, to be written.
    pub(crate) fn slots(&mut self) -> &mut [MaybeUninit<T>] {
        &mut self.array.spare_capacity_mut()[..self.len]
    }

    /// The array.
    ///
    /// # Safety
    /// Every one of the [`slots`](Self::slots) was written.
    pub(crate) unsafe fn written(mut self) -> Vec<T> {
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
