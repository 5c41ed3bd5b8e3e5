//! Arrays that tasks fill in parallel.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

/// An array for kernels that write every element. `vec![0.0; len]` would be one more pass over
/// memory, on one thread; here each task clears its own part, which it then finds in its cache.
pub(crate) struct Fresh {
    elements: Vec<f32>,
    len: usize,
    /// Elements that tasks have been given.
    begun: AtomicUsize,
}

impl Fresh {
    pub(crate) fn new(len: usize) -> Self {
        Self {
            elements: Vec::with_capacity(len),
            len,
            begun: AtomicUsize::new(0),
        }
    }

    /// Parts of `size` elements, zeros, each for one task.
    pub(crate) fn par_chunks_mut(
        &mut self,
        size: usize,
    ) -> impl IndexedParallelIterator<Item = &mut [f32]> {
        *self.begun.get_mut() = 0;
        let begun = &self.begun;
        let parts = self.elements.spare_capacity_mut()[..self.len].par_chunks_mut(size);
        parts.map(move |part| {
            part.fill(MaybeUninit::zeroed());
            begun.fetch_add(part.len(), Ordering::Relaxed);
            // SAFETY: zeros are numbers, and they were just written.
            unsafe { part.assume_init_mut() }
        })
    }

    /// The array.
    ///
    /// # Panics
    /// When a part was not given to a task.
    pub(crate) fn whole(mut self) -> Vec<f32> {
        let begun = *self.begun.get_mut();
        assert_eq!(begun, self.len, "parts of {} elements had a task", self.len);
        // SAFETY: the capacity is `len`. No element was counted twice, as the parts of one call are
        // disjoint and each call counts anew, so all of them were written.
        unsafe { self.elements.set_len(self.len) };
        self.elements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_begins_with_zeros_and_keeps_what_its_task_wrote() {
        for (len, size) in [(0, 4), (1, 4), (1000, 7), (20_000, 16_384)] {
            let mut array = Fresh::new(len);
            array
                .par_chunks_mut(size)
                .enumerate()
                .for_each(|(i, part)| {
                    assert!(part.iter().all(|&x| x == 0.0));
                    part[0] = i as f32;
                });
            let expected = (0..len).map(|i| match i % size {
                0 => (i / size) as f32,
                _ => 0.0,
            });
            assert_eq!(array.whole(), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "parts of 10 elements had a task")]
    fn an_array_with_a_part_that_nobody_wrote_is_no_array() {
        let mut array = Fresh::new(10);
        array.par_chunks_mut(4).take(2).for_each(|_| ());
        array.whole();
    }
}
