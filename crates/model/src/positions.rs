//! M-RoPE positions: text counts by one, an image spreads over time, height and width
//! (`get_rope_index` of transformers' Qwen2-VL and Qwen2.5-VL).

/// Tokens of one kind in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Run {
    /// This many text tokens.
    Text(usize),
    /// An image or video.
    Vision {
        /// Merged tokens in time, height, width.
        grid: [usize; 3],
        /// Temporal positions between two temporal patches.
        interval: f32,
    },
}

impl Run {
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
                for time in 0..t {
                    let time = at + (time as f32 * interval) as u32;
                    for row in 0..h as u32 {
                        out.extend((0..w as u32).map(|column| [time, at + row, at + column]));
                    }
                }
                at += h.max(w) as u32;
            }
        }
    }
    // A long video's temporal positions may pass the text's; what follows comes after both.
    let next = out.iter().flatten().max().map_or(0, |last| last + 1);
    (out, next)
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
}
