//! The largest of many scores.

use crate::simd::{LANES, Lanes};

/// The `k` largest of `scores` with their indices from `first`, of equal ones the first, best first; numbers that are none
/// come last.
///
/// The values fall into 64 groups; at least `k` values are not below the `k`-th largest of the groups' maxima, and not
/// many more: only these are sorted.
///
/// # Safety
/// The processor has the instructions.
#[inline(always)]
pub(super) unsafe fn top<S: Lanes>(
    scores: &[f32],
    first: usize,
    k: usize,
    best: &mut Vec<(f32, u32)>,
) {
    best.clear();
    // SAFETY: `exact` and `coarse::choose` were dispatched for these instructions.
    let limit = unsafe { limit::<S>(scores, k) };
    for (part, values) in scores.chunks(LANES).enumerate() {
        // SAFETY: as many values as lanes are read; the instructions as above.
        let mut there = unsafe { S::load_part(values.as_ptr(), values.len()).not_below(limit) };
        there &= (1u32 << values.len()) - 1;
        while there != 0 {
            let at = there.trailing_zeros() as usize;
            best.push((values[at], (first + part * LANES + at) as u32));
            there &= there - 1;
        }
    }
    best.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    best.truncate(k);
    // Numbers that are none fill up, the first ones first.
    for (at, &score) in scores.iter().enumerate() {
        if best.len() == k {
            break;
        }
        if score.is_nan() {
            best.push((score, (first + at) as u32));
        }
    }
}

/// Groups of scores, by their index.
const GROUPS: usize = 4 * LANES;

/// A number that at least `k` of the scores reach, unless too many are none.
#[inline(always)]
unsafe fn limit<S: Lanes>(scores: &[f32], k: usize) -> f32 {
    if k > GROUPS || scores.len() <= 2 * GROUPS {
        return f32::NEG_INFINITY;
    }
    let mut maxima = [f32::NEG_INFINITY; GROUPS];
    // SAFETY: whole vectors; a comparison with NaN gives the second operand.
    unsafe {
        let mut most = [S::splat(f32::NEG_INFINITY); GROUPS / LANES];
        for piece in scores.chunks_exact(GROUPS) {
            for (lane, most) in most.iter_mut().enumerate() {
                *most = S::load(piece.as_ptr().add(lane * LANES)).max(*most);
            }
        }
        for (lane, most) in most.iter().enumerate() {
            most.store(maxima.as_mut_ptr().add(lane * LANES));
        }
    }
    *maxima
        .select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a))
        .1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Isa, Kernel, dispatch};

    struct Top<'a>(&'a [f32], usize, &'a mut Vec<(f32, u32)>);

    impl Kernel for Top<'_> {
        type Output = ();

        #[inline(always)]
        unsafe fn run<S: Lanes>(self) {
            // SAFETY: dispatched.
            unsafe { top::<S>(self.0, 7, self.1, self.2) }
        }
    }

    #[test]
    fn the_best_are_found_and_ties_go_to_the_lower_index() {
        let scores: Vec<f32> = (0..500).map(|i| ((i * 37) % 50) as f32).collect();
        for k in [1, 3, 10, 11, 64, 65, 400] {
            let mut all: Vec<(f32, u32)> = scores.iter().zip(7..).map(|(&s, i)| (s, i)).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for isa in Isa::all() {
                let mut best = Vec::new();
                dispatch(isa, Top(&scores, k, &mut best));
                assert_eq!(best, all[..k]);
            }
        }
    }

    #[test]
    fn what_is_no_number_is_chosen_last() {
        let mut scores = vec![f32::NAN; 300];
        (0..300).step_by(40).for_each(|i| scores[i] = i as f32);
        for isa in Isa::all() {
            let mut best = Vec::new();
            dispatch(isa, Top(&scores, 10, &mut best));
            let found: Vec<u32> = best.iter().map(|&(_, at)| at - 7).collect();
            assert_eq!(found, [280, 240, 200, 160, 120, 80, 40, 0, 1, 2]);
        }
    }
}
