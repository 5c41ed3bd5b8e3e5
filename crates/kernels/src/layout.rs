//! Which tokens of a packed axis see which: spans with an optional shared prefix.

use crate::error::Error;

/// One contiguous run of query tokens on the packed axis. It sees all of its prefix (another run,
/// earlier on the axis; may be empty) and itself: causally in a decoder, fully in a vision tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First token.
    pub start: usize,
    /// Tokens.
    pub len: usize,
    /// First token of the prefix.
    pub prefix_start: usize,
    /// Tokens of the prefix; 0 for none.
    pub prefix_len: usize,
}

impl Span {
    /// A run that sees only itself.
    pub fn alone(start: usize, len: usize) -> Self {
        Self {
            start,
            len,
            prefix_start: 0,
            prefix_len: 0,
        }
    }

    /// One past its last token.
    pub fn end(&self) -> usize {
        self.start + self.len
    }

    /// Tokens of the axis in the order in which the run sees them: its prefix, then itself.
    pub fn text(&self) -> impl Iterator<Item = usize> + use<> {
        (self.prefix_start..self.prefix_start + self.prefix_len).chain(self.start..self.end())
    }
}

/// Spans that cover a token axis: ascending, without gap or overlap, each prefix before its span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    spans: Vec<Span>,
    /// Indices of the spans that are connected by prefixes, family after family.
    families: Vec<Vec<u32>>,
}

impl Layout {
    /// Checks that `spans` cover an axis of `tokens`.
    ///
    /// # Errors
    /// [`Error::Layout`] naming the first span that does not fit.
    pub fn new(spans: Vec<Span>, tokens: usize) -> Result<Self, Error> {
        let mut at = 0;
        for (index, span) in spans.iter().enumerate() {
            let problem = |message: String| {
                Err(Error::Layout {
                    span: index,
                    message,
                })
            };
            if span.start != at {
                return problem(format!("starts at {}, expected {at}", span.start));
            }
            if span.len == 0 {
                return problem("has no token".into());
            }
            let prefix_end = span.prefix_start.saturating_add(span.prefix_len);
            if span.prefix_len > 0 && prefix_end > span.start {
                return problem(format!(
                    "its prefix ends at {prefix_end}, after its start at {}",
                    span.start
                ));
            }
            let Some(end) = at.checked_add(span.len).filter(|&end| end <= tokens) else {
                return problem(format!(
                    "has {} tokens from {at} on an axis of {tokens}",
                    span.len
                ));
            };
            at = end;
        }
        if at != tokens {
            let message = format!("the spans cover {at} tokens of {tokens}");
            return Err(Error::Layout {
                span: spans.len(),
                message,
            });
        }
        Ok(Self {
            families: families(&spans),
            spans,
        })
    }

    /// Independent segments of the given lengths; empty ones are left out.
    pub fn packed(lengths: &[usize]) -> Self {
        let mut at = 0;
        let spans = lengths.iter().filter(|&&len| len > 0).map(|&len| {
            at += len;
            Span::alone(at - len, len)
        });
        let spans: Vec<Span> = spans.collect();
        Self {
            families: families(&spans),
            spans,
        }
    }

    /// The spans.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Tokens of the axis.
    pub fn len(&self) -> usize {
        self.spans.last().map_or(0, Span::end)
    }

    /// Groups of spans such that no key of one group is seen by another: what can be computed apart.
    pub(crate) fn families(&self) -> &[Vec<u32>] {
        &self.families
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

/// Connected components of "a prefix lies in", each in ascending order.
fn families(spans: &[Span]) -> Vec<Vec<u32>> {
    // The representative of each span; a representative stands for itself.
    let mut above: Vec<usize> = (0..spans.len()).collect();
    let top = |above: &mut Vec<usize>, mut at: usize| {
        while above[at] != at {
            above[at] = above[above[at]];
            at = above[at];
        }
        at
    };
    for (index, span) in spans
        .iter()
        .enumerate()
        .filter(|(_, span)| span.prefix_len > 0)
    {
        let first = spans.partition_point(|other| other.end() <= span.prefix_start);
        let last = spans.partition_point(|other| other.start < span.prefix_start + span.prefix_len);
        for other in first..last {
            let (a, b) = (top(&mut above, other), top(&mut above, index));
            above[a.max(b)] = a.min(b);
        }
    }
    let mut place = vec![usize::MAX; spans.len()];
    let mut families: Vec<Vec<u32>> = Vec::new();
    for index in 0..spans.len() {
        let top = top(&mut above, index);
        if place[top] == usize::MAX {
            place[top] = families.len();
            families.push(Vec::new());
        }
        families[place[top]].push(index as u32);
    }
    families
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gaps_overlaps_and_prefixes_that_come_later_are_refused() {
        for (spans, tokens) in [
            (vec![Span::alone(1, 2)], 3),
            (vec![Span::alone(0, 2), Span::alone(1, 2)], 3),
            (vec![Span::alone(0, 2)], 3),
            (vec![Span::alone(0, 0)], 0),
            (
                vec![Span {
                    start: 0,
                    len: 2,
                    prefix_start: 0,
                    prefix_len: 1,
                }],
                2,
            ),
            (
                vec![Span {
                    start: 0,
                    len: 2,
                    prefix_start: usize::MAX,
                    prefix_len: 1,
                }],
                2,
            ),
            (vec![Span::alone(0, 1), Span::alone(1, usize::MAX)], 3),
        ] {
            assert!(Layout::new(spans.clone(), tokens).is_err(), "{spans:?}");
        }
    }

    proptest! {
        #[test]
        fn packed_segments_are_a_valid_layout(lengths in prop::collection::vec(0usize..9, 0..20)) {
            let layout = Layout::packed(&lengths);
            let tokens: usize = lengths.iter().sum();
            prop_assert_eq!(layout.len(), tokens);
            prop_assert_eq!(&Layout::new(layout.spans().to_vec(), tokens).unwrap(), &layout);
        }
    }

    /// Spans of random lengths with random prefixes.
    fn layouts() -> impl Strategy<Value = Layout> {
        let span = (
            1usize..5,
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
        );
        prop::collection::vec(span, 0..12).prop_map(|parts| {
            let (mut spans, mut start) = (Vec::new(), 0);
            for (len, from, to) in parts {
                let (a, b) = (from.index(start + 1), to.index(start + 1));
                let (prefix_start, prefix_len) = (a.min(b), a.abs_diff(b));
                spans.push(Span {
                    start,
                    len,
                    prefix_start,
                    prefix_len,
                });
                start += len;
            }
            Layout::new(spans, start).unwrap()
        })
    }

    proptest! {
        #[test]
        fn families_share_no_key_and_hold_every_span_once(layout in layouts()) {
            let mut owner = vec![usize::MAX; layout.len()];
            let mut seen = vec![0; layout.spans().len()];
            for (family, members) in layout.families().iter().enumerate() {
                for &index in members {
                    seen[index as usize] += 1;
                    let span = layout.spans()[index as usize];
                    let prefix = span.prefix_start..span.prefix_start + span.prefix_len;
                    for token in (span.start..span.end()).chain(prefix) {
                        prop_assert!(owner[token] == usize::MAX || owner[token] == family);
                        owner[token] = family;
                    }
                }
            }
            prop_assert!(seen.iter().all(|&n| n == 1));
        }
    }
}
