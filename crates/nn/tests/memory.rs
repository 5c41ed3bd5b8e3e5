//! Memory of log-probabilities: an array `[tokens, vocabulary]` is never there.
//!
//! Its own test program, because it counts every byte that the program allocates.

#![allow(clippy::unwrap_used)]
// An allocator cannot be written without.
#![allow(unsafe_code)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use burn::tensor::Tensor;
use common::leaf;
use percept_nn as nn;

/// The system's allocator, and how many bytes of it are in use now and were at most.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static MEMORY: Counting = Counting;

/// MiB above what was there before, at the peak of a forward and backward pass.
fn peak(tokens: usize, vocabulary: usize) -> f64 {
    const WIDTH: usize = 4;
    let (hidden, weight) = (leaf(1, [tokens, WIDTH]), leaf(2, [vocabulary, WIDTH]));
    let targets: Vec<u32> = (0..tokens).map(|i| (i * 31 % vocabulary) as u32).collect();
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let stats = nn::linear_log_prob(hidden.clone(), weight.clone(), &targets, 1.0);
    let mut grads = Tensor::cat(vec![stats.log_prob, stats.entropy], 0)
        .sum()
        .backward();
    assert!(hidden.grad_remove(&mut grads).is_some() && weight.grad_remove(&mut grads).is_some());
    (PEAK.load(Relaxed) - before) as f64 / f64::from(1 << 20)
}

#[test]
fn log_probabilities_need_a_tenth_of_the_plain_form_however_many_tokens() {
    const VOCABULARY: usize = 151_936;
    let mib = |rows: usize| (rows * VOCABULARY * size_of::<f32>()) as f64 / f64::from(1 << 20);
    let few = peak(1024, VOCABULARY);
    let many = peak(4096, VOCABULARY);
    // 256 rows of logits at a time, gradients, and what products need.
    for found in [few, many] {
        assert!(found < mib(256) + 32.0, "{found} MiB");
    }
    // What products pack depends on how threads meet.
    assert!(many < few + 16.0, "{few} MiB, {many} MiB");
    // The plain form holds the logits' soft-max and their gradient at once.
    let plain = 2.0 * mib(4096);
    assert!(many <= 0.1 * plain, "{many} MiB of {plain}");
    // Small vocabularies: some logits wait for the backward pass, at most 64 MiB of them.
    let small = peak(40_000, 2048);
    assert!(small < 64.0 + 16.0 + 16.0, "{small} MiB");
}
