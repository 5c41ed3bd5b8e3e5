//! Parts of the assistant's turns that are read and not learned: where they stand in a text, and which tokens they hold.

use std::ops::Range;

/// The texts that open and close a part of a turn, for example `<think>` and `</think>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanMarkers {
    /// Opens it.
    pub from: String,
    /// Closes it.
    pub to: String,
}

impl SpanMarkers {
    /// Where it stands in a text, markers included; an opened one that is not closed stands nowhere.
    fn places<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
        let mut done = 0;
        std::iter::from_fn(move || {
            let start = done + text[done..].find(&self.from)?;
            let inside = start + self.from.len();
            let end = inside + text[inside..].find(&self.to)? + self.to.len();
            done = end;
            Some(start..end)
        })
    }

    /// Whether a text has such a part.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.places(text).next().is_some()
    }
}

/// Bytes of a text that are in one of the spans.
pub(super) fn places(spans: &[SpanMarkers], text: &str) -> Vec<Range<usize>> {
    spans.iter().flat_map(|span| span.places(text)).collect()
}

/// Whether a token of these bytes holds anything of a span. A token that holds the last byte of a span and the first behind
/// it does: the span's side wins, so that nothing of it is learned. Some tokenizers leave white space out of a token's bytes;
/// a token of white space alone stands where it ends.
pub(super) fn holds(places: &[Range<usize>], (start, end): (usize, usize)) -> bool {
    places.iter().any(|place| match start < end {
        true => start < place.end && end > place.start,
        false => place.start < end && end <= place.end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn think() -> SpanMarkers {
        SpanMarkers {
            from: "<think>".into(),
            to: "</think>".into(),
        }
    }

    #[test]
    fn every_closed_span_is_found_and_no_other() {
        let of = |text: &str| places(&[think()], text);
        assert_eq!(of("<think>a</think>b"), vec![0..16]);
        assert_eq!(of("x<think></think><think>é</think>"), vec![1..16, 16..33]);
        assert!(of("<think>a").is_empty());
        assert!(of("a</think>b<think>").is_empty());
        assert!(think().is_in("<think>a</think>") && !think().is_in("</think><think>"));
    }

    #[test]
    fn a_token_across_the_edge_is_in_the_span() {
        let place = std::slice::from_ref(&(4..9));
        for (bytes, inside) in [
            ((0, 4), false),
            ((3, 5), true),
            ((4, 9), true),
            ((8, 10), true),
            ((9, 11), false),
            // White space alone, as some tokenizers report it.
            ((4, 4), false),
            ((5, 5), true),
            ((10, 10), false),
        ] {
            assert_eq!(holds(place, bytes), inside, "{bytes:?}");
        }
    }
}
