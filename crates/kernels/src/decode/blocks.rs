//! Blocks of a cache, all or some of them.

use std::ops::Deref;
use std::sync::Arc;

/// Blocks of sixteen tokens in the order in which they are attended to.
pub(crate) trait Blocks: Copy {
    /// How many.
    fn len(self) -> usize;
    /// # Safety
    /// `index` is below `len`.
    unsafe fn block(self, index: usize) -> *const f32;
}

impl<B: Deref<Target = [f32]>> Blocks for &[Arc<B>] {
    #[inline(always)]
    fn len(self) -> usize {
        <[Arc<B>]>::len(self)
    }
    #[inline(always)]
    unsafe fn block(self, index: usize) -> *const f32 {
        // SAFETY: `index` is below `len`: loops in this file and in `grid` run over `0..len()`.
        unsafe { self.get_unchecked(index).as_ptr() }
    }
}

/// Some blocks of a cache: all full but perhaps the last.
pub(crate) struct Chosen<'a, B> {
    pub blocks: &'a [Arc<B>],
    pub index: &'a [u32],
}

impl<B> Clone for Chosen<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Chosen<'_, B> {}

impl<B: Deref<Target = [f32]>> Blocks for Chosen<'_, B> {
    #[inline(always)]
    fn len(self) -> usize {
        self.index.len()
    }
    #[inline(always)]
    unsafe fn block(self, index: usize) -> *const f32 {
        // SAFETY: `index` is below `len`, and indices name blocks that the cache has, which `Pattern::pieces` bounds.
        unsafe {
            let block = *self.index.get_unchecked(index) as usize;
            self.blocks.get_unchecked(block).as_ptr()
        }
    }
}
