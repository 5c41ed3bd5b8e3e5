//! Which rollouts a report shows of the many that a run keeps.

use crate::run::RolloutRecord;

/// At most `count` of the steps, evenly spread, the first and the last among them.
pub(super) fn spread(steps: &[u64], count: usize) -> Vec<u64> {
    if steps.len() <= count {
        return steps.to_vec();
    }
    (0..count)
        .map(|i| steps[i * (steps.len() - 1) / (count - 1)])
        .collect()
}

/// The first `share` rows, without a group that is cut, unless it is the only one.
pub(super) fn whole_groups(mut rows: Vec<RolloutRecord>, share: usize) -> Vec<RolloutRecord> {
    if rows.len() <= share {
        return rows;
    }
    let cut = rows[share].prompt_id.clone();
    let whole = rows[..share]
        .iter()
        .rposition(|row| row.prompt_id != cut)
        .map(|last| last + 1);
    rows.truncate(whole.unwrap_or(share));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_spread_from_the_first_to_the_last() {
        let steps: Vec<u64> = (1..=100).collect();
        assert_eq!(spread(&steps, 4), [1, 34, 67, 100]);
        assert_eq!(spread(&[5, 9], 4), [5, 9]);
        assert!(spread(&[], 4).is_empty());
    }

    #[test]
    fn a_group_that_would_be_cut_is_left_out_unless_it_is_the_only_one() {
        let rows = |ids: &str| -> Vec<RolloutRecord> {
            ids.chars()
                .map(|id| RolloutRecord {
                    prompt_id: id.into(),
                    ..Default::default()
                })
                .collect()
        };
        assert_eq!(whole_groups(rows("aaabbb"), 5).len(), 3);
        assert_eq!(whole_groups(rows("aaabbbc"), 6).len(), 6);
        assert_eq!(whole_groups(rows("aaaaaa"), 5).len(), 5);
        assert_eq!(whole_groups(rows("aab"), 5).len(), 3);
    }
}
