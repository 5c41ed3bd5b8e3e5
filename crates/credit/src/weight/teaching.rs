//! Which tokens a weight can change.

use std::collections::BTreeSet;

use crate::{Credit, Error, Signals};

/// `[tokens]` the trained tokens of groups that have an advantage: what a weight can change. A group
/// whose rewards are all equal teaches nothing, however it is weighed.
pub(crate) fn with_advantage(signals: &Signals<'_>, credit: &Credit) -> Result<Vec<bool>, Error> {
    signals.per_row("group", signals.group.len())?;
    signals.per_token("credit.advantage", credit.advantage.len())?;
    signals.per_token("credit.mask", credit.mask.len())?;
    let rows = || signals.offsets.iter().zip(signals.group);
    let counts = |token: usize| credit.mask[token] && credit.advantage[token] != 0.0;
    let groups: BTreeSet<usize> = rows()
        .filter(|(range, _)| range.clone().any(counts))
        .map(|(_, &group)| group)
        .collect();
    let mut chosen = vec![false; credit.mask.len()];
    for (range, _) in rows().filter(|(_, group)| groups.contains(group)) {
        chosen[range.clone()].copy_from_slice(&credit.mask[range]);
    }
    Ok(chosen)
}
