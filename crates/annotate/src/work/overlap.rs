//! How many annotators get a pair.

/// How many annotators get a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// Annotators of a pair that several get.
    pub annotators: usize,
    /// Share of the pairs that several get, spread evenly; the others go to one.
    pub share: f64,
}

impl Default for Overlap {
    /// Every pair goes to one annotator.
    fn default() -> Self {
        Self {
            annotators: 1,
            share: 1.0,
        }
    }
}

impl Overlap {
    /// Annotators that the pair at this place gets.
    pub fn wanted(&self, at: usize) -> usize {
        let before = |at: usize| (at as f64 * self.share).floor();
        match before(at + 1) > before(at) {
            true => self.annotators.max(1),
            false => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_kept_to_one_pair() {
        for share in [0.0, 0.1, 0.25, 1.0 / 3.0, 1.0] {
            let overlap = Overlap {
                annotators: 3,
                share,
            };
            let several = (0..1000).filter(|at| overlap.wanted(*at) == 3).count();
            assert!(
                (several as f64 - 1000.0 * share).abs() <= 1.0,
                "{share}: {several}"
            );
        }
        assert!((0..9).all(|at| Overlap::default().wanted(at) == 1));
    }
}
