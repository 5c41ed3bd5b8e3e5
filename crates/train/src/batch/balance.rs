//! Which sequences share a forward pass: as few passes as can be found under the token budget, and
//! those as even as can be found.
//!
//! Few, because every pass writes the whole gradient once; even, because the largest pass is what
//! memory must hold. The weight of a sequence is its tokens: activations grow with them, while
//! attention keeps no scores and one device waits for the sum of all passes, however they are cut.
//! verl's `use_dynamic_bsz` is the same idea, with the budget per device.

use std::cmp::Reverse;

/// Bins of indices into `weights` whose sums are at most `budget`: indices ascend, and so do the
/// first ones of the bins. A weight above the budget has a bin of its own. Never more bins than
/// filling them in the order of the weights gives.
///
/// Fewest bins by first-fit decreasing (at most 11/9 of the least possible), then MULTIFIT: the
/// smallest capacity with which first-fit decreasing still makes so few (Coffman, Garey and Johnson
/// 1978, "An application of bin-packing to multiprocessor scheduling").
pub(crate) fn balance(weights: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let (mut fitting, alone): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|&index| weights[index] <= budget);
    let in_order = next_fit(&fitting, weights, budget);
    // Stable: equal weights stay in their order.
    fitting.sort_by_key(|&index| Reverse(weights[index]));
    let decreasing = first_fit(&fitting, weights, budget);
    let mut best = [decreasing, in_order]
        .into_iter()
        .min_by_key(|bins| (bins.len(), largest(bins, weights)))
        .unwrap_or_default();
    let heaviest = fitting.first().map_or(0, |&index| weights[index]);
    let total: usize = fitting.iter().map(|&index| weights[index]).sum();
    let mut low = heaviest.max(total.div_ceil(best.len().max(1)));
    let mut high = largest(&best, weights);
    while low < high {
        let capacity = low + (high - low) / 2;
        let found = first_fit(&fitting, weights, capacity);
        if found.len() > best.len() {
            low = capacity + 1;
            continue;
        }
        high = largest(&found, weights);
        best = found;
    }
    best.extend(alone.into_iter().map(|index| vec![index]));
    for bin in &mut best {
        bin.sort_unstable();
    }
    best.sort_unstable();
    best
}

/// Bins of consecutive indices into `weights` whose sums are at most `budget`, in order. A weight above the budget has a
/// bin of its own.
pub(crate) fn in_order(weights: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let order: Vec<usize> = (0..weights.len()).collect();
    next_fit(&order, weights, budget)
}

/// Each index goes into the first bin that has room for it.
fn first_fit(order: &[usize], weights: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut bins: Vec<(usize, Vec<usize>)> = Vec::new();
    for &index in order {
        let weight = weights[index];
        let place = bins.iter_mut().find(|(sum, _)| sum + weight <= capacity);
        match place {
            Some((sum, bin)) => {
                *sum += weight;
                bin.push(index);
            }
            None => bins.push((weight, vec![index])),
        }
    }
    bins.into_iter().map(|(_, bin)| bin).collect()
}

/// A new bin whenever the next index does not fit into the last one.
fn next_fit(order: &[usize], weights: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut bins: Vec<Vec<usize>> = Vec::new();
    let mut sum = 0;
    for &index in order {
        match bins.last_mut() {
            Some(bin) if sum + weights[index] <= capacity => {
                sum += weights[index];
                bin.push(index);
            }
            _ => {
                sum = weights[index];
                bins.push(vec![index]);
            }
        }
    }
    bins
}

fn largest(bins: &[Vec<usize>], weights: &[usize]) -> usize {
    let sums = bins
        .iter()
        .map(|bin| bin.iter().map(|&index| weights[index]).sum());
    sums.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sums(bins: &[Vec<usize>], weights: &[usize]) -> Vec<usize> {
        let sum = |bin: &Vec<usize>| bin.iter().map(|&index| weights[index]).sum();
        bins.iter().map(sum).collect()
    }

    /// Fewest bins there can be, by trying every assignment.
    fn fewest(weights: &[usize], budget: usize) -> usize {
        fn place(rest: &[usize], bins: &mut Vec<usize>, budget: usize, best: &mut usize) {
            let Some((&weight, rest)) = rest.split_first() else {
                *best = bins.len().min(*best);
                return;
            };
            for bin in 0..bins.len() {
                if bins[bin] + weight <= budget {
                    bins[bin] += weight;
                    place(rest, bins, budget, best);
                    bins[bin] -= weight;
                }
            }
            bins.push(weight);
            place(rest, bins, budget, best);
            bins.pop();
        }
        let mut best = weights.len();
        place(weights, &mut Vec::new(), budget, &mut best);
        best
    }

    proptest! {
        #[test]
        fn every_index_once_under_the_budget_in_no_more_bins_than_in_order(
            weights in prop::collection::vec(0usize..120, 0..40),
            budget in 1usize..200,
        ) {
            let bins = balance(&weights, budget);
            let mut all = bins.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..weights.len()).collect::<Vec<_>>());
            for (bin, sum) in bins.iter().zip(sums(&bins, &weights)) {
                prop_assert!(sum <= budget || bin.len() == 1, "{} over {}", sum, budget);
            }
            let before = in_order(&weights, budget);
            prop_assert!(bins.len() <= before.len());
            if bins.len() == before.len() {
                prop_assert!(largest(&bins, &weights) <= largest(&before, &weights));
            }
        }

        #[test]
        fn as_few_bins_as_first_fit_decreasing_promises(
            weights in prop::collection::vec(1usize..60, 1..9),
            budget in 60usize..100,
        ) {
            let (found, least) = (balance(&weights, budget).len(), fewest(&weights, budget));
            prop_assert!(9 * found <= 11 * least + 6, "{} bins, {} would do", found, least);
        }
    }

    #[test]
    fn equal_work_is_cut_into_equal_parts() {
        // In order, the second bin of three would be left with one sequence.
        let weights = [5, 5, 5, 5, 5, 5, 5, 5];
        assert_eq!(sums(&balance(&weights, 35), &weights), [20, 20]);
        // 10 + 9 + 8 + 7 over two bins of 20: 17 and 17, not 19 and 15.
        let weights = [10, 9, 8, 7];
        assert_eq!(sums(&balance(&weights, 20), &weights), [17, 17]);
        assert_eq!(balance(&weights, 20), [[0, 3], [1, 2]]);
        assert!(balance(&[], 20).is_empty());
    }

    /// What it gives on ragged lengths (`--nocapture` prints it): log-normal responses, median 200
    /// tokens, cut at 1,024, to prompts of 100 to 400, in groups of 8, under 16,384 tokens.
    #[test]
    fn passes_over_ragged_groups_are_fewer_or_their_peak_is_lower() {
        let mut state = 7u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as f64 / (1u64 << 24) as f64
        };
        let groups: Vec<usize> = (0..64)
            .map(|_| {
                let prompt = 100 + (300.0 * uniform()) as usize;
                let response = |u: f64, v: f64| {
                    let normal = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
                    ((200.0 * (0.8 * normal).exp()) as usize).min(1024)
                };
                let responses: usize = (0..8).map(|_| response(uniform(), uniform())).sum();
                prompt + responses
            })
            .collect();
        for budget in [4_096, 8_192, 16_384] {
            let (before, now) = (in_order(&groups, budget), balance(&groups, budget));
            let total: usize = groups.iter().sum();
            println!(
                "budget {budget}: in order {} passes, largest {}, {:.0} % full; balanced {}, {}, {:.0} %",
                before.len(),
                largest(&before, &groups),
                100.0 * total as f64 / (before.len() * budget) as f64,
                now.len(),
                largest(&now, &groups),
                100.0 * total as f64 / (now.len() * budget) as f64,
            );
            let fewer = now.len() < before.len();
            assert!(fewer || largest(&now, &groups) < largest(&before, &groups));
        }
    }
}
