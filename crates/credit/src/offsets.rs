//! How a flat token axis is cut into rows.

use std::ops::Range;

use crate::Error;

/// Row boundaries on a flat token axis. Rows are contiguous, in order, and may be empty; unsorted
/// offsets cannot be built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    ends: Vec<usize>,
}

impl Offsets {
    pub(crate) const fn empty() -> Self {
        Self { ends: Vec::new() }
    }

    /// Rows of the given lengths, one after the other.
    pub fn from_lengths(lengths: impl IntoIterator<Item = usize>) -> Self {
        let ends = lengths
            .into_iter()
            .scan(0, |end, length| {
                *end += length;
                Some(*end)
            })
            .collect();
        Self { ends }
    }

    /// From the `cu_seqlens` form: `rows + 1` numbers that start at 0 and never decrease.
    pub fn from_cu_seqlens(bounds: &[usize]) -> Result<Self, Error> {
        if let Some(&value) = bounds.first().filter(|&&first| first != 0) {
            return Err(Error::Offsets { index: 0, value });
        }
        if let Some(at) = bounds.windows(2).position(|pair| pair[1] < pair[0]) {
            return Err(Error::Offsets {
                index: at + 1,
                value: bounds[at + 1],
            });
        }
        Ok(Self {
            ends: bounds.iter().skip(1).copied().collect(),
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    /// Number of tokens of all rows.
    pub fn tokens(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Tokens of row `row`. Panics when there is no such row.
    pub fn row(&self, row: usize) -> Range<usize> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        start..self.ends[row]
    }

    /// Token ranges of all rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range<usize>> + '_ {
        (0..self.rows()).map(|row| self.row(row))
    }

    /// Number of tokens of each row.
    pub fn lengths(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.iter().map(|range| range.len())
    }

    /// Offsets of the batch that consists of `rows`, in that order. Panics when a row does not exist.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self::from_lengths(rows.iter().map(|&row| self.row(row).len()))
    }

    /// The entries of the per-token slice `values` that belong to `rows`, in that order. Panics when
    /// a row does not exist or `values` is shorter than the token axis.
    pub fn gather<T: Copy>(&self, rows: &[usize], values: &[T]) -> Vec<T> {
        rows.iter()
            .flat_map(|&row| values[self.row(row)].iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_cu_seqlens_are_two_spellings_of_the_same_rows() {
        let offsets = Offsets::from_lengths([3, 0, 2]);
        assert_eq!(offsets, Offsets::from_cu_seqlens(&[0, 3, 3, 5]).unwrap());
        assert_eq!((offsets.rows(), offsets.tokens()), (3, 5));
        assert_eq!(offsets.iter().collect::<Vec<_>>(), [0..3, 3..3, 3..5]);
        assert_eq!(offsets.lengths().collect::<Vec<_>>(), [3, 0, 2]);
    }

    #[test]
    fn unsorted_offsets_cannot_be_built() {
        assert_eq!(
            Offsets::from_cu_seqlens(&[0, 3, 2]),
            Err(Error::Offsets { index: 2, value: 2 })
        );
        assert_eq!(
            Offsets::from_cu_seqlens(&[1, 3]),
            Err(Error::Offsets { index: 0, value: 1 })
        );
    }

    #[test]
    fn no_rows_have_no_tokens() {
        assert_eq!(Offsets::from_cu_seqlens(&[]).unwrap(), Offsets::default());
        assert_eq!(Offsets::from_cu_seqlens(&[0]).unwrap().tokens(), 0);
    }

    #[test]
    fn selected_rows_carry_their_own_tokens() {
        let offsets = Offsets::from_lengths([2, 1, 3]);
        let rows = [2, 0];
        assert_eq!(offsets.select(&rows), Offsets::from_lengths([3, 2]));
        assert_eq!(offsets.gather(&rows, &[0, 1, 2, 3, 4, 5]), [3, 4, 5, 0, 1]);
    }
}
