//! Lengths of pairs. A judge that counts faults prefers short answers, and a model that learns from its pairs learns to be
//! short (RLAIF-V's `utils/get_pairs_filter_shorten.py`).

use serde::Serialize;

/// Which pairs are dropped because their chosen answer is much shorter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LengthLimit {
    /// None.
    Off,
    /// Those whose chosen answer is shorter by more than this share of the rejected one.
    Share(f64),
    /// As `Share`, with the share from 0, 0.02, … 0.98 at which the mean lengths of chosen and rejected answers differ
    /// least (RLAIF-V).
    Auto,
}

/// Mean lengths of pairs in words, separated by blanks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Lengths {
    /// Of chosen answers.
    pub chosen: f64,
    /// Of rejected answers.
    pub rejected: f64,
    /// Share of pairs whose chosen answer is the shorter one.
    pub chosen_shorter: f64,
    /// Share of pairs whose chosen answer is the longer one.
    pub chosen_longer: f64,
}

impl Lengths {
    /// Of pairs with these numbers of words (chosen, rejected); none without a pair.
    pub fn of(words: &[(usize, usize)]) -> Option<Self> {
        let n = words.len() as f64;
        let mean = |f: fn(&(usize, usize)) -> f64| words.iter().map(f).sum::<f64>() / n;
        (!words.is_empty()).then(|| Self {
            chosen: mean(|w| w.0 as f64),
            rejected: mean(|w| w.1 as f64),
            chosen_shorter: mean(|w| f64::from(w.0 < w.1)),
            chosen_longer: mean(|w| f64::from(w.0 > w.1)),
        })
    }

    /// By what share of the rejected answers' the mean length differs.
    fn difference(&self) -> f64 {
        (self.chosen - self.rejected).abs() / self.rejected
    }
}

/// Which of the pairs with these numbers of words (chosen, rejected) stay, and the share that was the limit.
pub fn shorten(words: &[(usize, usize)], limit: LengthLimit) -> (Vec<bool>, Option<f64>) {
    let share = match limit {
        LengthLimit::Off => None,
        LengthLimit::Share(share) => Some(share),
        LengthLimit::Auto => best(words),
    };
    let stays = |pair: &(usize, usize)| share.is_none_or(|share| fits(*pair, share));
    (words.iter().map(stays).collect(), share)
}

fn fits((chosen, rejected): (usize, usize), share: f64) -> bool {
    rejected as f64 - chosen as f64 <= share * rejected as f64
}

/// The share at which the means differ least, the smallest of equal ones.
fn best(words: &[(usize, usize)]) -> Option<f64> {
    let tried = (0..50).map(|step| f64::from(step) * 0.02);
    let difference = |share: f64| {
        let left: Vec<_> = words.iter().copied().filter(|w| fits(*w, share)).collect();
        Some((share, Lengths::of(&left)?.difference()))
    };
    let found = tried.filter_map(difference);
    found
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(share, _)| share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_whose_chosen_answer_is_much_shorter_are_dropped() {
        let words = [(10, 10), (8, 10), (7, 10), (20, 10), (0, 0)];
        let (kept, share) = shorten(&words, LengthLimit::Share(0.2));
        assert_eq!(kept, [true, true, false, true, true]);
        assert_eq!(share, Some(0.2));
        assert!(shorten(&words, LengthLimit::Off).0.iter().all(|kept| *kept));
        let lengths = Lengths::of(&words).unwrap();
        assert_eq!((lengths.chosen, lengths.rejected), (9.0, 8.0));
        assert_eq!((lengths.chosen_shorter, lengths.chosen_longer), (0.4, 0.2));
    }

    /// Worked through with RLAIF-V's script: the smallest difference of means.
    #[test]
    fn auto_takes_the_share_at_which_the_means_are_nearest() {
        // Of (5, 10), (9, 10), (11, 10): without the first the means are 10 and 10.
        let words = [(5, 10), (9, 10), (11, 10)];
        let (kept, share) = shorten(&words, LengthLimit::Auto);
        assert_eq!(kept, [false, true, true]);
        assert!((share.unwrap() - 0.1).abs() < 0.021, "{share:?}");
        assert_eq!(shorten(&[], LengthLimit::Auto), (Vec::new(), None));
        // Nothing is left at small shares: those are not taken.
        assert_eq!(shorten(&[(1, 10)], LengthLimit::Auto).0, [true]);
    }
}
