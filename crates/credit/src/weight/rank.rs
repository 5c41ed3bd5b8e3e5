//! Ranks: the only thing that is asked of a score whose scale means nothing.

/// Ranks scaled to 0..=1, written over `values`; equal values share the mean of their ranks, a
/// single one has rank 0. `order` is scratch.
pub(crate) fn unit_ranks(values: &mut [f64], order: &mut Vec<usize>) {
    let n = values.len();
    if n < 2 {
        values.fill(0.0);
        return;
    }
    order.clear();
    order.extend(0..n);
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; n];
    let mut start = 0;
    while start < n {
        let mut end = start + 1;
        while end < n && values[order[end]] == values[order[start]] {
            end += 1;
        }
        let rank = (start + end - 1) as f64 / 2.0 / (n - 1) as f64;
        for &at in &order[start..end] {
            ranks[at] = rank;
        }
        start = end;
    }
    values.copy_from_slice(&ranks);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_rank() {
        let mut values = [3.0, 1.0, 3.0, 9.0, -2.0];
        unit_ranks(&mut values, &mut Vec::new());
        assert_eq!(values, [0.625, 0.25, 0.625, 1.0, 0.0]);
        let mut one = [7.0];
        unit_ranks(&mut one, &mut Vec::new());
        assert_eq!(one, [0.0]);
    }
}
