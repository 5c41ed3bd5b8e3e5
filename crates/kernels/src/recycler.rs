//! An allocator that keeps large blocks for the next array of about the same size.
//!
//! A training step makes and drops hundreds of arrays of some megabytes. The system's allocator
//! gives such memory back at once, and every new array pays page faults for all of it: SwiGLU of
//! 8 192 × 384 values, forward and backward, takes 9.1 ms with glibc and 3.4 ms with this
//! (2 cores, `bench_ops`).
//! The arrays of Burn and of this crate are freed by whoever drops the tensor last, so the only
//! place to keep them is the allocator:
//!
//! ```
//! use percept_kernels::Recycler;
//!
//! #[global_allocator]
//! static MEMORY: Recycler = Recycler::new(1 << 30);
//!
//! let block = vec![1u8; 1 << 20];
//! let address = block.as_ptr();
//! drop(block);
//! assert_eq!(vec![2u8; 1 << 20].as_ptr(), address);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Smaller blocks are the system's business.
const SMALLEST: usize = 1 << 17;
/// Sizes are rounded up to four steps per power of two: at most a quarter is unused.
const STEPS: usize = 4;
/// Classes of 2^17 … 2^48 bytes.
const CLASSES: usize = 31 * STEPS + 1;
/// Blocks begin at cache lines.
const ALIGN: usize = 64;

/// A global allocator over the system's one that keeps up to `limit` bytes of freed blocks of
/// 128 KiB or more, by size.
#[derive(Debug)]
pub struct Recycler {
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    bytes: usize,
    /// The last freed block of each class; a free block begins with the pointer to the next.
    heads: [*mut u8; CLASSES],
}

// SAFETY: the blocks belong to nobody while they are in the lists, and a lock guards the lists.
unsafe impl Send for Kept {}

impl Recycler {
    /// Keeps at most `limit` bytes that nobody uses.
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: Mutex::new(Kept {
                bytes: 0,
                heads: [null_mut(); CLASSES],
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A kept block of this class.
    fn take(&self, class: usize, size: usize) -> Option<*mut u8> {
        let mut kept = self.lock();
        let block = kept.heads[class];
        if block.is_null() {
            return None;
        }
        // SAFETY: a block in a list begins with a pointer.
        kept.heads[class] = unsafe { block.cast::<*mut u8>().read() };
        kept.bytes -= size;
        Some(block)
    }
}

impl Drop for Recycler {
    /// Gives what is kept back to the system. The global allocator is never dropped.
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (class, head) in kept.heads.iter_mut().enumerate() {
            while !head.is_null() {
                let (block, layout) = (*head, block_of(class));
                // SAFETY: a block in a list begins with the pointer to the next, and came from the system with its class's
                // layout; `dealloc` put it there, and nobody else has it.
                unsafe {
                    *head = block.cast::<*mut u8>().read();
                    System.dealloc(block, layout);
                }
            }
        }
    }
}

/// The layout of the blocks of a class.
fn block_of(class: usize) -> Layout {
    let whole = SMALLEST << (class / STEPS);
    let size = whole + class % STEPS * (whole / STEPS);
    Layout::from_size_align(size, ALIGN).expect("the sizes of classes end at 2^48 bytes")
}

/// Class of a layout and the bytes of its blocks; `None` where the system is asked directly.
fn class(layout: Layout) -> Option<(usize, Layout)> {
    if layout.size() < SMALLEST || layout.align() > ALIGN {
        return None;
    }
    let power = layout.size().ilog2() as usize;
    let step = (1 << power) / STEPS;
    let steps = (layout.size() - (1 << power)).div_ceil(step);
    let class = (power - SMALLEST.ilog2() as usize) * STEPS + steps;
    let size = (1 << power) + steps * step;
    let block = Layout::from_size_align(size, ALIGN).ok()?;
    (class < CLASSES).then_some((class, block))
}

// SAFETY: a block comes from the system with its class's layout and goes back with it; while it is
// kept nobody else has it. All layouts of a class map to one block layout that is large enough.
unsafe impl GlobalAlloc for Recycler {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((class, block)) = class(layout) else {
            // SAFETY: `layout` has a size, as `GlobalAlloc` asks of its caller; passed on to the system.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: the block's size is not zero.
        self.take(class, block.size())
            .unwrap_or_else(|| unsafe { System.alloc(block) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some((class, block)) = class(layout) else {
            // SAFETY: `layout` has a size, as `GlobalAlloc` asks of its caller; passed on to the system.
            return unsafe { System.alloc_zeroed(layout) };
        };
        let Some(kept) = self.take(class, block.size()) else {
            // SAFETY: the block's size is not zero.
            return unsafe { System.alloc_zeroed(block) };
        };
        // SAFETY: the block is ours and at least this large.
        unsafe { kept.write_bytes(0, layout.size()) };
        kept
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some((class, block)) = class(layout) else {
            // SAFETY: `pointer` came from the system with this `layout`, as `GlobalAlloc` asks of its caller.
            return unsafe { System.dealloc(pointer, layout) };
        };
        let mut kept = self.lock();
        if kept.bytes + block.size() > self.limit {
            drop(kept);
            // SAFETY: it came from the system with this layout.
            return unsafe { System.dealloc(pointer, block) };
        }
        kept.bytes += block.size();
        // SAFETY: the block is ours now, large enough and aligned for a pointer.
        unsafe { pointer.cast::<*mut u8>().write(kept.heads[class]) };
        kept.heads[class] = pointer;
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` with this alignment is a valid layout.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(new)) {
            // SAFETY: `pointer` came from the system with this `layout`, as `GlobalAlloc` asks of its caller.
            (None, None) => return unsafe { System.realloc(pointer, layout, size) },
            (Some((old, _)), Some((new, _))) if old == new => return pointer,
            _ => {}
        }
        // SAFETY: a fresh block of the new size; the old one is freed after the copy.
        unsafe {
            let fresh = self.alloc(new);
            if !fresh.is_null() {
                fresh.copy_from_nonoverlapping(pointer, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 4).unwrap()
    }

    proptest! {
        #[test]
        fn a_class_has_one_size_that_fits_and_wastes_at_most_a_quarter(size in SMALLEST..1usize << 40) {
            let (class_index, block) = class(layout(size)).unwrap();
            prop_assert!(block.size() >= size && block.size() <= size + size / 4);
            prop_assert_eq!(class(layout(block.size())).unwrap(), (class_index, block));
            prop_assert_eq!(block_of(class_index), block);
        }
    }

    #[test]
    fn freed_blocks_come_back_up_to_the_limit_and_zeroed_when_asked() {
        let memory = Recycler::new(1 << 20);
        let sizes = [1 << 18, (1 << 18) - 4000];
        // SAFETY: every block is used within its size and freed once with its layout.
        unsafe {
            let first = memory.alloc(layout(sizes[0]));
            first.write_bytes(7, sizes[0]);
            memory.dealloc(first, layout(sizes[0]));
            let again = memory.alloc_zeroed(layout(sizes[1]));
            assert_eq!(again, first);
            let step = if cfg!(miri) { 997 } else { 1 };
            assert!(
                (0..sizes[1])
                    .step_by(step)
                    .all(|i| again.add(i).read() == 0)
            );
            again.write(9);
            let grown = memory.realloc(again, layout(sizes[1]), 1 << 19);
            assert_eq!(grown.read(), 9);
            memory.dealloc(grown, layout(1 << 19));
            let shrunk = memory.realloc(memory.alloc(layout(1 << 19)), layout(1 << 19), 100);
            memory.dealloc(shrunk, layout(100));
            let large = memory.alloc(layout(1 << 21));
            memory.dealloc(large, layout(1 << 21));
        }
        assert_eq!(memory.lock().bytes, (1 << 18) + (1 << 19));
    }

    #[test]
    fn threads_never_share_a_block() {
        static MEMORY: Recycler = Recycler::new(4 << 20);
        let work = |mark: u8| {
            for round in 0..if cfg!(miri) { 10 } else { 2000usize } {
                let layout = layout(SMALLEST << (round % 3));
                // SAFETY: within the block's size; freed once with its layout.
                unsafe {
                    let block = MEMORY.alloc(layout);
                    block.write_bytes(mark, 64);
                    std::thread::yield_now();
                    assert!((0..64).all(|i| block.add(i).read() == mark));
                    MEMORY.dealloc(block, layout);
                }
            }
        };
        std::thread::scope(|scope| {
            for mark in 1..5 {
                scope.spawn(move || work(mark));
            }
        });
    }
}
