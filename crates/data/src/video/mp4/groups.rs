//! Groups of pictures: from a picture that needs no other to the next one.

use super::samples::Sample;

/// The groups of a track. A decoder starts at the first sample of a group, and gives its pictures in the order of their
/// times.
#[derive(Debug)]
pub(super) struct Groups {
    /// First sample of each group, ascending; the first is 0.
    starts: Vec<usize>,
    /// Of each sample: how many of its group are shown before it.
    ranks: Vec<u32>,
}

impl Groups {
    /// `is_start` says of a sample where decoding may begin whether it is an IDR picture: others are shown after pictures
    /// that need the group before (open groups).
    pub(super) fn new(samples: &[Sample], mut is_start: impl FnMut(&Sample) -> bool) -> Self {
        let mut starts = vec![0];
        for (at, sample) in samples.iter().enumerate().skip(1) {
            if sample.sync && is_start(sample) {
                starts.push(at);
            }
        }
        let mut groups = Self {
            starts,
            ranks: vec![0; samples.len()],
        };
        for group in 0..groups.starts.len() {
            let mut order: Vec<usize> = groups.samples(group).collect();
            order.sort_by_key(|&at| samples[at].shown);
            for (rank, at) in order.into_iter().enumerate() {
                groups.ranks[at] = rank as u32;
            }
        }
        groups
    }

    pub(super) fn count(&self) -> usize {
        self.starts.len()
    }

    pub(super) fn of(&self, sample: usize) -> usize {
        self.starts.partition_point(|&start| start <= sample) - 1
    }

    pub(super) fn samples(&self, group: usize) -> std::ops::Range<usize> {
        let end = self.starts.get(group + 1).copied();
        self.starts[group]..end.unwrap_or(self.ranks.len())
    }

    pub(super) fn rank(&self, sample: usize) -> usize {
        self.ranks[sample] as usize
    }
}
