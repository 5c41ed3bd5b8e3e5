//! Which tokens of a packed axis see which: spans with an optional shared prefix.

use crate::Error;

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
        Self { start, len, prefix_start: 0, prefix_len: 0 }
    }

    /// One past its last token.
    pub fn end(&self) -> usize {
        self.start + self.len
    }
}

/// Spans that cover a token axis: ascending, without gap or overlap, each prefix before its span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    spans: Vec<Span>,
}

impl Layout {
    /// Checks that `spans` cover an axis of `tokens`.
    ///
    /// # Errors
    /// [`Error::Layout`] naming the first span that does not fit.
    pub fn new(spans: Vec<Span>, tokens: usize) -> Result<Self, Error> {
        let mut at = 0;
        for (index, span) in spans.iter().enumerate() {
            let problem = |message: String| Err(Error::Layout { span: index, message });
            if span.start != at {
                return problem(format!("starts at {}, expected {at}", span.start));
            }
            if span.len == 0 {
                return problem("has no token".into());
            }
            if span.prefix_len > 0 && span.prefix_start + span.prefix_len > span.start {
                return problem(format!(
                    "its prefix ends at {}, after its start at {}",
                    span.prefix_start + span.prefix_len,
                    span.start
                ));
            }
            at += span.len;
        }
        if at != tokens {
            let message = format!("the spans cover {at} tokens of {tokens}");
            return Err(Error::Layout { span: spans.len(), message });
        }
        Ok(Self { spans })
    }

    /// Independent segments of the given lengths; empty ones are left out.
    pub fn packed(lengths: &[usize]) -> Self {
        let mut at = 0;
        let spans = lengths.iter().filter(|&&len| len > 0).map(|&len| {
            at += len;
            Span::alone(at - len, len)
        });
        Self { spans: spans.collect() }
    }

    /// The spans.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Tokens of the axis.
    pub fn len(&self) -> usize {
        self.spans.last().map_or(0, Span::end)
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
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
            (vec![Span { start: 0, len: 2, prefix_start: 0, prefix_len: 1 }], 2),
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
}
