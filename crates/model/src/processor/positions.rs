//! M-RoPE positions: text counts by one, an image or video spreads over time, height and width, and
//! what follows it stands behind the largest position so far.
//!
//! That is the rule of Qwen's own code, of vLLM and of transformers 4.49 to 5.2, with which the published
//! checkpoints were trained: `start = max(all positions before) + 1`. Later versions of transformers advance by
//! `max(height, width)` alone, so that the last frames of a video share their temporal positions with the text
//! behind them. For images the two agree.

/// Tokens of one kind in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Run {
    /// This many tokens one behind the other, as those of text are.
    Text(usize),
    /// An image or video whose positions have time, height and width.
    Vision {
        /// Merged tokens in time, height, width.
        grid: [usize; 3],
        /// Temporal positions between two temporal patches.
        interval: f32,
    },
}

impl Run {
    /// Tokens.
    pub(crate) fn tokens(&self) -> usize {
        match self {
            Run::Text(count) => *count,
            Run::Vision { grid, .. } => grid.iter().product(),
        }
    }

    /// Appends one text token.
    pub(crate) fn text(runs: &mut Vec<Run>) {
        match runs.last_mut() {
            Some(Run::Text(count)) => *count += 1,
            _ => runs.push(Run::Text(1)),
        }
    }
}

/// Positions of all tokens, and of the token that follows them.
pub(crate) fn positions(runs: &[Run]) -> (Vec<[u32; 3]>, u32) {
    let mut out = Vec::new();
    let mut at = 0u32;
    for run in runs {
        match *run {
            Run::Text(count) => {
                out.extend((at..at + count as u32).map(|p| [p; 3]));
                at += count as u32;
            }
            Run::Vision {
                grid: [t, h, w],
                interval,
            } => {
                // Single precision as in transformers: the product is truncated.
                let after = |frames: usize| (frames as f32 * interval) as u32;
                for time in 0..t {
                    let time = at + after(time);
                    for row in 0..h as u32 {
                        out.extend((0..w as u32).map(|column| [time, at + row, at + column]));
                    }
                }
                at += (after(t.saturating_sub(1)) + 1).max(h as u32).max(w as u32);
            }
        }
    }
    (out, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_takes_the_room_of_its_longer_side() {
        let runs = [
            Run::Text(2),
            Run::Vision {
                grid: [1, 2, 3],
                interval: 1.0,
            },
            Run::Text(1),
        ];
        let (found, next) = positions(&runs);
        assert_eq!(
            found[2..8].iter().map(|p| p[1]).collect::<Vec<_>>(),
            [2, 2, 2, 3, 3, 3]
        );
        assert_eq!(
            found[2..8].iter().map(|p| p[2]).collect::<Vec<_>>(),
            [2, 3, 4, 2, 3, 4]
        );
        assert!(found[2..8].iter().all(|p| p[0] == 2));
        assert_eq!((found[8], next), ([5; 3], 6));
    }

    #[test]
    fn frames_are_spaced_by_truncated_seconds() {
        let (found, _) = positions(&[Run::Vision {
            grid: [3, 1, 1],
            interval: 2.8,
        }]);
        assert_eq!(found.iter().map(|p| p[0]).collect::<Vec<_>>(), [0, 2, 5]);
    }

    /// D1: 36 frames of 28 × 28 pixels last longer than they are wide.
    #[test]
    fn text_after_a_long_video_stands_behind_its_last_frame() {
        let video = Run::Vision {
            grid: [18, 1, 1],
            interval: 2.0,
        };
        let runs = [Run::Text(3), video, Run::Text(2), video, Run::Text(1)];
        let (found, next) = positions(&runs);
        let last = [3 + 17 * 2, 3, 3];
        assert_eq!(found[3 + 17], last);
        assert_eq!(found[3 + 18], [38; 3]);
        assert_eq!(found[3 + 18 + 1], [39; 3]);
        // And so again behind the second one: nothing stands twice.
        assert_eq!((found[3 + 18 + 2 + 18], next), ([40 + 35; 3], 76));
    }
}
