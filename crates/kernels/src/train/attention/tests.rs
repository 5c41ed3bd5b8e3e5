//! However attention is cut, and on any number of threads, its bits are the same.

use std::sync::Arc;

use proptest::prelude::*;

use super::op::Attention;
use super::tasks::{Cutter, Makes, Part};
use crate::layout::{Layout, Span};

/// Sizes of a case: heads, key/value heads, dim.
type Sizes = [usize; 3];

fn attention(layout: &Arc<Layout>, causal: bool, [heads, kv_heads, dim]: Sizes) -> Attention {
    let scale = (dim as f32).powf(-0.5);
    Attention::new([heads, kv_heads, dim], Arc::clone(layout), causal, scale)
}

/// Numbers in −1..1 that repeat late.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
    .take(len)
    .collect()
}

/// Bits of the output, the log-sum-exp and the gradients.
fn bits(op: &Attention, forward: &[Part], backward: &[Part]) -> [Vec<u32>; 5] {
    let [q, grad] = [1, 2].map(|seed| numbers(op.tokens * op.heads * op.dim, seed));
    let [k, v] = [3, 4].map(|seed| numbers(op.tokens * op.kv_heads * op.dim, seed));
    let inputs = [&q[..], &k, &v];
    let output = op.forward_in(forward, inputs);
    let [dq, dk, dv] = op.backward_in(backward, inputs, &output, &grad);
    let log_z = op.log_z.get().unwrap().clone();
    [output, log_z, dq, dk, dv].map(|x| x.iter().map(|x| x.to_bits()).collect())
}

fn on<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(run)
}

/// Whether the forward pass was cut, and whether the backward pass was, on sixteen threads; that the
/// bits are the same on any number.
fn cut_to_the_same_bits(layout: Layout, causal: bool, sizes: Sizes) -> [bool; 2] {
    let layout = Arc::new(layout);
    let run = |threads| {
        on(threads, || {
            let op = attention(&layout, causal, sizes);
            let (forward, backward) = (op.cutter().forward(), op.cutter().backward());
            let cut = [
                forward.len() > layout.families().len() * op.kv_heads,
                backward.iter().any(|part| part.makes != Makes::All),
            ];
            (bits(&op, &forward, &backward), cut)
        })
    };
    let (expected, cut) = run(1);
    assert_eq!(cut, [false; 2], "one thread has nothing to cut for");
    let mut last = cut;
    for threads in [2, 3, 7, 16] {
        let (found, cut) = run(threads);
        for (name, (found, expected)) in ["output", "log z", "dq", "dk", "dv"]
            .iter()
            .zip(found.iter().zip(&expected))
        {
            assert!(
                found == expected,
                "{name} on {threads} threads, {sizes:?}, causal {causal}"
            );
        }
        last = cut;
    }
    last
}

/// A prompt and answers that continue it.
fn family(prompt: usize, answers: &[usize]) -> Layout {
    let mut spans = vec![Span::alone(0, prompt)];
    let mut start = prompt;
    for &len in answers {
        spans.push(Span {
            start,
            len,
            prefix_start: 0,
            prefix_len: prompt,
        });
        start += len;
    }
    Layout::new(spans, start).unwrap()
}

/// Small enough for Miri: a prompt and its answers, forward and back, with every cut that there is.
#[test]
fn a_short_text_has_the_same_bits_however_it_is_cut() {
    let layout = Arc::new(family(5, &[3, 1]));
    for causal in [true, false] {
        let [whole, cut] = [1, 2].map(|threads| {
            let cutter = Cutter {
                layout: &layout,
                causal,
                kv_heads: 1,
                group: 2,
                threads,
                floor: 1,
            };
            let op = attention(&layout, causal, [2, 1, 3]);
            on(threads, || bits(&op, &cutter.forward(), &cutter.backward()))
        });
        assert!(whole == cut, "causal {causal}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "too large")]
fn a_long_text_has_the_same_bits_on_any_number_of_threads() {
    for (causal, sizes) in [
        (true, [2, 1, 32]),
        (true, [4, 2, 64]),
        (false, [1, 1, 128]),
        (false, [2, 2, 64]),
    ] {
        let cut = cut_to_the_same_bits(Layout::packed(&[1205]), causal, sizes);
        assert_eq!(cut, [true; 2], "{sizes:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "too large")]
fn answers_to_one_prompt_have_the_same_bits_on_any_number_of_threads() {
    for (causal, sizes) in [(true, [4, 1, 64]), (true, [2, 2, 32]), (false, [2, 1, 64])] {
        let layout = family(611, &[97, 300, 1, 530]);
        let cut = cut_to_the_same_bits(layout, causal, sizes);
        assert_eq!(cut, [true; 2], "{sizes:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "too large")]
fn many_short_texts_are_not_cut_and_have_the_same_bits_on_any_number_of_threads() {
    let lengths: Vec<usize> = (0..80).map(|i| 40 + i % 7).collect();
    let cut = cut_to_the_same_bits(Layout::packed(&lengths), true, [4, 2, 64]);
    assert_eq!(cut, [false; 2]);
}

#[test]
#[cfg_attr(miri, ignore = "too large")]
fn a_long_text_among_short_ones_is_cut_alone() {
    let layout = Layout::packed(&[90, 90, 1400, 90, 90]);
    assert_eq!(
        cut_to_the_same_bits(layout.clone(), true, [2, 1, 64]),
        [true; 2]
    );
    let op = attention(&Arc::new(layout), true, [2, 1, 64]);
    for part in on(4, || op.cutter().backward()) {
        assert_eq!(part.makes == Makes::All, part.family != 2, "{part:?}");
    }
}

/// Prefixes that begin and end anywhere.
fn layouts() -> impl Strategy<Value = Layout> {
    let place = || any::<prop::sample::Index>();
    prop::collection::vec((1usize..260, place(), place()), 1..6).prop_map(|parts| {
        let (mut spans, mut start) = (Vec::new(), 0);
        for (len, from, to) in parts {
            let (a, b) = (from.index(start + 1), to.index(start + 1));
            spans.push(Span {
                start,
                len,
                prefix_start: a.min(b),
                prefix_len: a.abs_diff(b),
            });
            start += len;
        }
        Layout::new(spans, start).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    #[cfg_attr(miri, ignore = "too large")]
    fn the_bits_do_not_depend_on_the_cut(
        layout in layouts(),
        causal in any::<bool>(),
        group in 1usize..4,
        kv_heads in 1usize..3,
        threads in 2usize..20,
    ) {
        let layout = Arc::new(layout);
        let sizes = [group * kv_heads, kv_heads, 16];
        let cutter = |threads| Cutter { layout: &layout, causal, kv_heads, group, threads, floor: 1 };
        let (whole, cut) = (cutter(1), cutter(threads));
        let op = || attention(&layout, causal, sizes);
        let expected = bits(&op(), &whole.forward(), &whole.backward());
        let found = bits(&op(), &cut.forward(), &cut.backward());
        prop_assert!(expected == found);
    }
}
