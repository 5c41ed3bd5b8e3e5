//! Many tokens of one sequence at once: prompts, and tokens that a sequence already had.

use super::decoder::{ATTENTION, Decoder, Prefix, Sequence};
use super::past::Past;
use percept_kernels::Threads;
use rayon::prelude::*;
use std::sync::Arc;

/// Rows of a prompt that go through the layers together: products are as fast as with more, and the memory of a long
/// prompt's activations stays that of this many rows.
const CHUNK: usize = 2048;

/// Rows of a prompt: embeddings `[tokens, hidden]` (vision rows in their places), tokens (attention may ask which are
/// punctuation) and positions.
type Rows<'a> = (Vec<f32>, &'a [u32], &'a [[u32; 3]]);

impl Decoder {
    /// Computes a prompt from its embeddings `[tokens, hidden]` (vision rows in their places), tokens (attention may
    /// ask which are punctuation) and positions.
    ///
    /// # Panics
    /// When there is no token, or `embeddings`, `tokens` and `positions` are not the same number of rows.
    pub fn prefill(
        &self,
        embeddings: Vec<f32>,
        tokens: &[u32],
        positions: &[[u32; 3]],
        next_position: u32,
    ) -> Arc<Prefix> {
        let rows = (embeddings, tokens, positions);
        self.prefill_after(self.empty(), rows, next_position)
    }

    /// Computes the rest of a prompt whose start is `past`; the bits are those of the whole prompt at once.
    ///
    /// # Panics
    /// As [`prefill`](Self::prefill).
    pub fn prefill_after(&self, past: Past, rows: Rows<'_>, next_position: u32) -> Arc<Prefix> {
        let hidden = self.weights.hidden;
        let mut logits = vec![0.0; self.vocab_size()];
        let end = rows.1.len();
        let past = self.rows(past, rows, |row, normed| {
            if row == end {
                let last = &normed[normed.len() - hidden..];
                self.weights.head.apply(last, &mut logits);
            }
        });
        Arc::new(Prefix {
            past,
            next_position,
            logits,
        })
    }

    /// Appends `tokens` to a sequence, as [`step`](Self::step) one after the other would, without their logits.
    ///
    /// # Panics
    /// When a token is not below [`vocab_size`](Self::vocab_size).
    pub fn replay(&self, sequence: &mut Sequence, tokens: &[u32]) {
        if tokens.is_empty() {
            return;
        }
        let end = sequence.position + tokens.len() as u32;
        let positions: Vec<[u32; 3]> = (sequence.position..end).map(|p| [p; 3]).collect();
        let past = std::mem::replace(&mut sequence.past, self.empty());
        let rows = (self.embed(tokens), tokens, positions.as_slice());
        sequence.past = self.rows(past, rows, |_, _| {});
        sequence.position = end;
    }

    /// Logits of every row of a prompt, `[tokens, vocab_size]`: row `t` predicts token `t + 1`.
    ///
    /// # Panics
    /// As [`prefill`](Self::prefill).
    pub fn prompt_logits(
        &self,
        embeddings: Vec<f32>,
        tokens: &[u32],
        positions: &[[u32; 3]],
    ) -> Vec<f32> {
        let (hidden, vocab) = (self.weights.hidden, self.vocab_size());
        let mut logits = vec![0.0; tokens.len() * vocab];
        let rows = (embeddings, tokens, positions);
        self.rows(self.empty(), rows, |end, normed| {
            let first = end - normed.len() / hidden;
            let logits = &mut logits[first * vocab..end * vocab];
            self.weights.head.apply(normed, logits);
        });
        logits
    }

    /// Natural logarithm of the probability of every token but the first after those before it, `[tokens - 1]`.
    ///
    /// # Panics
    /// As [`prefill`](Self::prefill).
    pub fn prompt_log_probs(
        &self,
        embeddings: Vec<f32>,
        tokens: &[u32],
        positions: &[[u32; 3]],
    ) -> Vec<f32> {
        /// Rows whose logits exist at the same time.
        const ROWS: usize = 64;
        let (hidden, vocab) = (self.weights.hidden, self.vocab_size());
        let mut found = Vec::with_capacity(tokens.len() - 1);
        let mut logits = vec![0.0; ROWS * vocab];
        let rows = (embeddings, tokens, positions);
        self.rows(self.empty(), rows, |_, normed| {
            for normed in normed.chunks(ROWS * hidden) {
                let logits = &mut logits[..normed.len() / hidden * vocab];
                self.weights.head.apply(normed, logits);
                let next = &tokens[found.len() + 1..];
                let rows: Vec<f32> = logits
                    .par_chunks(vocab)
                    .zip(next.par_iter())
                    .map(|(logits, &token)| log_prob(logits, token))
                    .collect();
                found.extend(rows);
            }
        });
        found
    }

    /// All layers of some rows after `past`, [`CHUNK`] rows at a time; `head(end, normed)` sees the hidden states
    /// after the final norm of the rows that end before row `end`.
    fn rows(
        &self,
        mut past: Past,
        (embeddings, tokens, positions): Rows<'_>,
        mut head: impl FnMut(usize, &[f32]),
    ) -> Past {
        let (rows, hidden) = (tokens.len(), self.weights.hidden);
        assert!(rows > 0, "a prompt has at least one token");
        assert_eq!(
            (embeddings.len(), positions.len()),
            (rows * hidden, rows),
            "embeddings, tokens and positions are the same rows"
        );
        let before = past.tokens();
        let mut scratch = self.take();
        // A caller on a thread of the pool prefills several prompts at once: small products stay on its thread.
        let threads = match rayon::current_thread_index() {
            Some(_) if self.is_small() => Threads::One,
            _ => Threads::Pool,
        };
        let parts = tokens.chunks(CHUNK).zip(positions.chunks(CHUNK));
        for ((tokens, positions), x) in parts.zip(embeddings.chunks(CHUNK * hidden)) {
            let rows = tokens.len();
            scratch.x.clear();
            scratch.x.extend_from_slice(x);
            self.rope.fill(
                positions.iter().copied(),
                &mut scratch.cos,
                &mut scratch.sin,
            );
            let marks: Vec<bool> = self.attention.marks(tokens).collect();
            past.grow(&marks);
            self.weights
                .layers(&mut scratch, rows, threads, |layer, qkv, out| {
                    past.write(layer, qkv, self.qkv_width(), self.weights.queries);
                    self.attend_rows(&past, layer, qkv, out, threads);
                });
            head(past.tokens() - before, &scratch.normed[..rows * hidden]);
        }
        self.give(scratch);
        past
    }

    fn attend_rows(
        &self,
        past: &Past,
        layer: usize,
        qkv: &[f32],
        out: &mut [f32],
        threads: Threads,
    ) {
        let before = past.tokens() - qkv.len() / self.qkv_width();
        let (group, queries, width) = (self.group_width(), self.weights.queries, self.qkv_width());
        // Sixteen queries read a head's keys and values while they are in the cache.
        let piece = 16;
        let attend_piece = |first: usize, out: &mut [f32]| {
            let tokens = out.len() / queries;
            let mut results = vec![0.0; tokens * group];
            let (mut q, mut gates) = (Vec::with_capacity(results.len()), Vec::new());
            for head in 0..self.shape.heads {
                q.clear();
                gates.clear();
                for row in qkv.chunks_exact(width).skip(first).take(tokens) {
                    let [row, of_row] = self.of_head(row, head);
                    q.extend_from_slice(row);
                    gates.extend_from_slice(of_row);
                }
                let (at, seen) = ((layer, head), before + first + 1);
                past.attend_rows(at, seen, group, [&q, &gates], self.scale, &mut results);
                let rows = out.chunks_exact_mut(queries);
                for (out, result) in rows.zip(results.chunks_exact(group)) {
                    out[head * group..][..group].copy_from_slice(result);
                }
            }
        };
        if threads == Threads::One {
            return attend_piece(0, out);
        }
        let least = ATTENTION.div_ceil(piece * past.tokens() * queries);
        out.par_chunks_mut(piece * queries)
            .enumerate()
            .with_min_len(least)
            .for_each(|(i, out)| attend_piece(i * piece, out));
    }
}

/// Log-softmax at `token`.
fn log_prob(logits: &[f32], token: u32) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from((x - most).exp())).sum();
    logits[token as usize] - most - sum.ln() as f32
}
