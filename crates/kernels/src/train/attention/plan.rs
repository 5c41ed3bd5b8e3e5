//! How a span is cut: blocks of queries, chunks of keys, pieces of contiguous keys.

use std::ops::Range;

use crate::layout::Span;
use crate::simd::LANES;

/// Queries that are computed together: eight tiles of twelve rows.
pub(super) const QUERIES: usize = 96;
/// Keys that are computed together; the scores of a block (192 KiB) stay in the second-level cache.
pub(super) const KEYS: usize = 512;

/// Consecutive queries of a span.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// First token.
    pub start: usize,
    pub len: usize,
    /// Place of the first query within its span.
    pub offset: usize,
}

/// Consecutive keys, and the columns of the scores that belong to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// First token.
    pub start: usize,
    pub len: usize,
    /// First column; `width` of them, the last ones empty.
    pub column: usize,
    pub width: usize,
    /// Place of the first key within the span, when it is causal; `None` when all queries see all.
    pub causal: Option<usize>,
}

impl Piece {
    /// Keys that the query at `place` of the span sees.
    #[inline(always)]
    pub(super) fn seen(&self, place: usize) -> usize {
        match self.causal {
            None => self.len,
            Some(first) => (place + 1).saturating_sub(first).min(self.len),
        }
    }

    /// First place of a query that sees the key `index` of this piece.
    #[inline(always)]
    pub(super) fn first_place(&self, index: usize) -> usize {
        self.causal.map_or(0, |first| first + index)
    }
}

/// Pieces that are computed together.
#[derive(Debug, Clone, Default)]
pub(super) struct Chunk {
    pub pieces: Vec<Piece>,
    /// Columns.
    pub width: usize,
    /// Elements from one row of scores to the next: an odd number of cache lines, so that a tile's
    /// rows do not share a set of the cache.
    pub stride: usize,
}

impl Chunk {
    /// Whether the queries of the block see none of the keys. Then they see none of later chunks.
    pub(super) fn hidden(&self, block: Block) -> bool {
        let last = block.offset + block.len - 1;
        self.pieces.iter().all(|piece| piece.seen(last) == 0)
    }

    /// What lies within the range of tokens.
    fn within(self, keys: &Range<usize>) -> Option<Self> {
        let mut chunk = Self::default();
        for piece in self.pieces {
            let skipped = keys.start.saturating_sub(piece.start).min(piece.len);
            let start = piece.start + skipped;
            let len = keys.end.min(piece.start + piece.len).saturating_sub(start);
            if len > 0 {
                let causal = piece.causal.map(|first| first + skipped);
                chunk.push(start, len, causal);
            }
        }
        (!chunk.pieces.is_empty()).then_some(chunk)
    }

    fn push(&mut self, start: usize, len: usize, causal: Option<usize>) {
        let width = len.next_multiple_of(LANES);
        self.pieces.push(Piece {
            start,
            len,
            column: self.width,
            width,
            causal,
        });
        self.width += width;
        self.stride = ((self.width / LANES) | 1) * LANES;
    }
}

pub(super) fn blocks(span: &Span) -> impl Iterator<Item = Block> {
    let span = *span;
    (0..span.len).step_by(QUERIES).map(move |offset| Block {
        start: span.start + offset,
        len: QUERIES.min(span.len - offset),
        offset,
    })
}

/// The keys of a span, its prefix, then itself: those within the range of tokens. The range is a part of the same
/// chunks, it does not move their borders.
pub(super) fn chunks(span: &Span, causal: bool, keys: &Range<usize>) -> Vec<Chunk> {
    let mut chunks = vec![Chunk::default()];
    let runs = [
        (span.prefix_start, span.prefix_len, false),
        (span.start, span.len, causal),
    ];
    for (start, len, causal) in runs {
        let mut done = 0;
        while done < len {
            let last = chunks.len() - 1;
            if chunks[last].width >= KEYS {
                chunks.push(Chunk::default());
                continue;
            }
            let chunk = &mut chunks[last];
            let take = (len - done).min(KEYS - chunk.width);
            chunk.push(start + done, take, causal.then_some(done));
            done += take;
        }
    }
    chunks
        .into_iter()
        .filter_map(|chunk| chunk.within(keys))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_every_key_once_in_order_and_stay_in_bounds() {
        for (prefix, len) in [
            (0, 1),
            (80, 48),
            (511, 2),
            (512, 512),
            (1300, 700),
            (5, 2000),
        ] {
            let span = Span {
                start: prefix,
                len,
                prefix_start: 0,
                prefix_len: prefix,
            };
            let mut keys = Vec::new();
            for chunk in chunks(&span, true, &(0..usize::MAX)) {
                assert!(chunk.width <= KEYS && !chunk.pieces.is_empty());
                for piece in chunk.pieces {
                    assert!(piece.width >= piece.len && piece.width.is_multiple_of(LANES));
                    keys.extend(piece.start..piece.start + piece.len);
                    if let Some(first) = piece.causal {
                        assert_eq!(piece.start, span.start + first);
                    }
                }
            }
            assert_eq!(keys, (0..prefix + len).collect::<Vec<_>>());
        }
    }
}
