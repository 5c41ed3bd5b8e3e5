//! Decoding on the host: one token at a time for many sequences that share their prompts.
//!
//! A [`Decoder`] is a snapshot of a model's text decoder as packed f32 weights. [`Decoder::prefill`] computes a prompt
//! once into a [`Prefix`]; [`Decoder::start`] makes a [`Sequence`] that shares it; [`Decoder::step`] appends one token
//! to each of many sequences. What a sequence becomes does not depend on the sequences beside it, on the number of
//! threads, or on where its prompt ends: prefill and step give the same bits for the same tokens.

mod pass;
mod rope;
mod weights;

use crate::{Error, Model};
use pass::Scratch;
use percept_nn::host::{KvCache, KvShape, Threads, attend};
use rayon::prelude::*;
use rope::Rope;
use std::sync::{Arc, Mutex, PoisonError};
use weights::Weights;

/// Weights below this size are read from the caches at every step, so each thread takes its own sequences through all
/// layers and no thread ever waits for another. Above, threads share each product, so that memory is read once.
const SMALL: usize = 32 << 20;
/// Multiply-adds of attention that are worth handing to another thread (about 10 µs).
const ATTENTION: usize = 1 << 18;

/// An immutable snapshot of a text decoder: packed weights, adapters merged.
pub struct Decoder {
    weights: Weights,
    rope: Rope,
    shape: KvShape,
    scale: f32,
    scratch: Mutex<Vec<Scratch>>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder({:?}, {} bytes)", self.shape, self.bytes())
    }
}

/// A prompt's keys and values, shared by all sequences that start from it.
#[derive(Debug)]
pub struct Prefix {
    cache: KvCache,
    next_position: u32,
    logits: Vec<f32>,
}

impl Prefix {
    /// Tokens of the prompt.
    pub fn tokens(&self) -> usize {
        self.cache.len()
    }

    /// Rotary position of the first token that follows.
    pub fn next_position(&self) -> u32 {
        self.next_position
    }

    /// Logits of the token that follows, `[vocab_size]`.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.cache.bytes() + self.logits.len() * size_of::<f32>()
    }
}

/// One sequence: a shared prompt and the keys and values of its own tokens. A clone continues independently and
/// shares the past.
#[derive(Clone, Debug)]
pub struct Sequence {
    cache: KvCache,
    position: u32,
}

impl Sequence {
    /// Tokens of the prompt and of the sequence.
    pub fn tokens(&self) -> usize {
        self.cache.len()
    }

    /// Memory that only this sequence holds, in bytes; freed with it.
    pub fn bytes(&self) -> usize {
        self.cache.own_bytes()
    }
}

impl Decoder {
    /// Packs the current weights of `model`, adapters merged.
    ///
    /// # Errors
    /// When a weight is missing or has another shape than the configuration says.
    pub fn new(model: &Model) -> Result<Self, Error> {
        let config = model.config();
        let weights = Weights::new(config, |name| model.effective_values(name))?;
        let text = &config.text;
        let shape = KvShape {
            layers: text.num_hidden_layers,
            heads: text.num_key_value_heads,
            head_dim: text.head_dim,
        };
        let scale = (text.head_dim as f32).powf(-0.5);
        Ok(Self {
            weights,
            rope: Rope::new(text),
            shape,
            scale,
            scratch: Mutex::default(),
        })
    }

    /// Logits of one row.
    pub fn vocab_size(&self) -> usize {
        self.weights.head.outputs()
    }

    /// Width of an embedding.
    pub fn hidden_size(&self) -> usize {
        self.weights.hidden
    }

    /// Memory of the weights, in bytes.
    pub fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Memory that one more token of one sequence takes, in bytes.
    pub fn token_bytes(&self) -> usize {
        self.shape.token_bytes()
    }

    /// Embeddings of text tokens, `[tokens, hidden]`.
    ///
    /// # Panics
    /// When a token is not below [`vocab_size`](Self::vocab_size).
    pub fn embed(&self, tokens: &[u32]) -> Vec<f32> {
        let mut rows = vec![0.0; tokens.len() * self.weights.hidden];
        self.weights.embed(tokens, &mut rows);
        rows
    }

    /// Computes a prompt from its embeddings `[tokens, hidden]` (vision rows in their places) and positions.
    ///
    /// # Panics
    /// When there is no token, or `embeddings` and `positions` are not the same number of rows.
    pub fn prefill(
        &self,
        embeddings: Vec<f32>,
        positions: &[[u32; 3]],
        next_position: u32,
    ) -> Arc<Prefix> {
        let hidden = self.weights.hidden;
        let (cache, logits) = self.prompt(embeddings, positions, |normed| {
            let mut logits = vec![0.0; self.vocab_size()];
            self.weights
                .head
                .apply(&normed[normed.len() - hidden..], &mut logits);
            logits
        });
        Arc::new(Prefix {
            cache,
            next_position,
            logits,
        })
    }

    /// Logits of every row of a prompt, `[tokens, vocab_size]`: row `t` predicts token `t + 1`.
    ///
    /// # Panics
    /// As [`prefill`](Self::prefill).
    pub fn prompt_logits(&self, embeddings: Vec<f32>, positions: &[[u32; 3]]) -> Vec<f32> {
        let rows = positions.len();
        let (_, logits) = self.prompt(embeddings, positions, |normed| {
            let mut logits = vec![0.0; rows * self.vocab_size()];
            self.weights.head.apply(normed, &mut logits);
            logits
        });
        logits
    }

    /// All layers of a prompt; `head` sees the hidden states after the final norm.
    fn prompt(
        &self,
        embeddings: Vec<f32>,
        positions: &[[u32; 3]],
        head: impl FnOnce(&[f32]) -> Vec<f32>,
    ) -> (KvCache, Vec<f32>) {
        let rows = positions.len();
        assert!(rows > 0, "a prompt has at least one token");
        assert_eq!(
            embeddings.len(),
            rows * self.weights.hidden,
            "embeddings and positions are the same rows"
        );
        let mut cache = KvCache::new(self.shape);
        cache.grow(rows);
        let mut scratch = self.take();
        scratch.x = embeddings;
        self.rope.fill(
            positions.iter().copied(),
            &mut scratch.cos,
            &mut scratch.sin,
        );
        // A caller on a thread of the pool prefills several prompts at once: small products stay on its thread.
        let threads = match rayon::current_thread_index() {
            Some(_) if self.bytes() <= SMALL => Threads::One,
            _ => Threads::Pool,
        };
        self.weights
            .layers(&mut scratch, rows, threads, |layer, qkv, out| {
                for (token, row) in qkv.chunks_exact(self.qkv_width()).enumerate() {
                    self.write(&mut cache, layer, token, row);
                }
                self.attend_prompt(&cache, layer, qkv, out, threads);
            });
        let logits = head(&scratch.normed[..rows * self.weights.hidden]);
        self.give(scratch);
        (cache, logits)
    }

    /// A sequence that continues `prefix`; room for `capacity_hint` tokens of its own is reserved cheaply.
    pub fn start(&self, prefix: &Arc<Prefix>, capacity_hint: usize) -> Sequence {
        let mut cache = prefix.cache.clone();
        cache.reserve(capacity_hint);
        Sequence {
            cache,
            position: prefix.next_position,
        }
    }

    /// Appends `tokens[i]` to `sequences[i]` and sets `logits` to `[sequences, vocab_size]`: row `i` predicts the
    /// token after `tokens[i]`.
    ///
    /// # Panics
    /// When there are not as many tokens as sequences, or a token is not below [`vocab_size`](Self::vocab_size).
    pub fn step(&self, sequences: &mut [Sequence], tokens: &[u32], logits: &mut Vec<f32>) {
        assert_eq!(sequences.len(), tokens.len(), "one token for each sequence");
        let vocab = self.vocab_size();
        logits.resize(sequences.len() * vocab, 0.0);
        if sequences.is_empty() {
            return;
        }
        if self.bytes() > SMALL {
            // One entry into the pool, so that the products inside need not enter it one by one.
            rayon::scope(|_| self.step_rows(sequences, tokens, logits, Threads::Pool));
            return;
        }
        let piece = sequences.len().div_ceil(rayon::current_num_threads());
        if piece == sequences.len() {
            self.step_rows(sequences, tokens, logits, Threads::One);
            return;
        }
        sequences
            .par_chunks_mut(piece)
            .zip(tokens.par_chunks(piece))
            .zip(logits.par_chunks_mut(piece * vocab))
            .for_each(|((sequences, tokens), logits)| {
                self.step_rows(sequences, tokens, logits, Threads::One)
            });
    }

    fn step_rows(
        &self,
        sequences: &mut [Sequence],
        tokens: &[u32],
        logits: &mut [f32],
        threads: Threads,
    ) {
        let rows = sequences.len();
        let mut scratch = self.take();
        scratch.x.resize(rows * self.weights.hidden, 0.0);
        self.weights.embed(tokens, &mut scratch.x);
        let positions = sequences.iter().map(|sequence| [sequence.position; 3]);
        self.rope
            .fill(positions, &mut scratch.cos, &mut scratch.sin);
        for sequence in sequences.iter_mut() {
            sequence.cache.grow(1);
            sequence.position += 1;
        }
        self.weights
            .layers(&mut scratch, rows, threads, |layer, qkv, out| {
                for (sequence, row) in sequences.iter_mut().zip(qkv.chunks_exact(self.qkv_width()))
                {
                    let token = sequence.cache.len() - 1;
                    self.write(&mut sequence.cache, layer, token, row);
                }
                self.attend_step(sequences, layer, qkv, out, threads);
            });
        self.weights.head.apply_on(
            &scratch.normed[..rows * self.weights.hidden],
            logits,
            threads,
        );
        self.give(scratch);
    }

    /// Values of the queries that share a key-value head, of all queries, and of a row of queries, keys and values.
    fn group_width(&self) -> usize {
        self.weights.queries / self.shape.heads
    }

    fn qkv_width(&self) -> usize {
        self.weights.queries + 2 * self.shape.heads * self.shape.head_dim
    }

    fn write(&self, cache: &mut KvCache, layer: usize, token: usize, qkv: &[f32]) {
        let (keys, values) =
            qkv[self.weights.queries..].split_at(self.shape.heads * self.shape.head_dim);
        cache.write(layer, token, keys, values);
    }

    fn attend_prompt(
        &self,
        cache: &KvCache,
        layer: usize,
        qkv: &[f32],
        out: &mut [f32],
        threads: Threads,
    ) {
        let (group, queries, width) = (self.group_width(), self.weights.queries, self.qkv_width());
        // Sixteen queries read a head's keys and values while they are in the cache.
        let piece = 16;
        let attend_piece = |first: usize, out: &mut [f32]| {
            for head in 0..self.shape.heads {
                for (i, out) in out.chunks_exact_mut(queries).enumerate() {
                    let token = first + i;
                    let q = &qkv[token * width + head * group..][..group];
                    let out = &mut out[head * group..][..group];
                    attend(cache, layer, head, token + 1, q, self.scale, out);
                }
            }
        };
        if threads == Threads::One {
            return attend_piece(0, out);
        }
        let least = ATTENTION.div_ceil(piece * cache.len() * queries);
        out.par_chunks_mut(piece * queries)
            .enumerate()
            .with_min_len(least)
            .for_each(|(i, out)| attend_piece(i * piece, out));
    }

    fn attend_step(
        &self,
        sequences: &[Sequence],
        layer: usize,
        qkv: &[f32],
        out: &mut [f32],
        threads: Threads,
    ) {
        let (group, heads, width) = (self.group_width(), self.shape.heads, self.qkv_width());
        let one = |row: usize, head: usize, out: &mut [f32]| {
            let cache = &sequences[row].cache;
            let q = &qkv[row * width + head * group..][..group];
            attend(cache, layer, head, cache.len(), q, self.scale, out);
        };
        if threads == Threads::One {
            for (row, out) in out.chunks_exact_mut(self.weights.queries).enumerate() {
                for (head, out) in out.chunks_exact_mut(group).enumerate() {
                    one(row, head, out);
                }
            }
            return;
        }
        let tokens = sequences.iter().map(Sequence::tokens).sum::<usize>() / sequences.len();
        let least = ATTENTION.div_ceil(2 * tokens.max(1) * group);
        out.par_chunks_mut(group)
            .enumerate()
            .with_min_len(least)
            .for_each(|(i, out)| one(i / heads, i % heads, out));
    }

    fn take(&self) -> Scratch {
        self.scratch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_default()
    }

    fn give(&self, scratch: Scratch) {
        self.scratch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(scratch);
    }
}
