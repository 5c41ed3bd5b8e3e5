//! The decoder and what a step of it does.

use super::pass::Scratch;
use super::past::Past;
use super::rope::Rope;
use super::weights::Weights;
use crate::{Attention, Error, Model};
use percept_kernels::Threads;
use percept_kernels::decode::{KvCounter, KvShape, Mass};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// Tokens of a block of keys and values: the unit of their memory.
pub const BLOCK_SIZE: usize = percept_kernels::decode::BLOCK;

/// Weights below this size are read from the caches at every step, so each thread takes its own sequences through all
/// layers and no thread ever waits for another. Above, and for a single sequence, threads share each product, so that
/// memory is read once.
const SMALL: usize = 32 << 20;
/// Multiply-adds of attention that are worth handing to another thread (about 10 µs).
pub(super) const ATTENTION: usize = 1 << 18;

/// An immutable snapshot of a text decoder: packed weights, adapters merged.
pub struct Decoder {
    pub(super) weights: Weights,
    pub(super) rope: Rope,
    pub(super) shape: KvShape,
    pub(super) attention: Attention,
    pub(super) scale: f32,
    scratch: Mutex<Vec<Scratch>>,
    counter: KvCounter,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder({:?}, {} bytes)", self.shape, self.bytes())
    }
}

/// A prompt's keys and values, shared by all sequences that start from it.
#[derive(Debug)]
pub struct Prefix {
    pub(super) past: Past,
    pub(super) next_position: u32,
    pub(super) logits: Vec<f32>,
}

impl Prefix {
    /// Tokens of the prompt.
    pub fn tokens(&self) -> usize {
        self.past.tokens()
    }

    /// The prompt's keys and values.
    pub fn past(&self) -> &Past {
        &self.past
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
        self.past.bytes() + self.logits.len() * size_of::<f32>()
    }
}

/// One sequence: a shared prompt and the keys and values of its own tokens. A clone continues independently and
/// shares the past.
#[derive(Clone, Debug)]
pub struct Sequence {
    pub(super) past: Past,
    pub(super) position: u32,
}

impl Sequence {
    /// Tokens of the prompt and of the sequence.
    pub fn tokens(&self) -> usize {
        self.past.tokens()
    }

    /// Memory of keys and values that only this sequence holds, in bytes; freed with it.
    pub fn bytes(&self) -> usize {
        self.past.own_bytes()
    }

    /// Whether the next token takes a block of [`BLOCK_SIZE`] tokens.
    pub fn next_takes_block(&self) -> bool {
        self.past.next_takes_block()
    }
}

/// Where a step writes the logits of the next tokens.
struct StepOutput<'a> {
    logits: &'a mut [f32],
    temperature: f32,
    masses: &'a mut [Mass],
}

impl Decoder {
    /// Packs the current weights of `model`, adapters merged, in [`Model::decoder_dtype`].
    ///
    /// # Errors
    /// None today.
    pub fn new(model: &Model) -> Result<Self, Error> {
        let config = model.config();
        let weights = Weights::new(config, &model.text, model.decoder_dtype(), |index| {
            model.values_at(index)
        });
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
            attention: config.attention.clone(),
            scale,
            scratch: Mutex::default(),
            counter: KvCounter::default(),
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

    /// Memory that one more token of one sequence takes, in bytes: keys, values, and on average block keys where
    /// attention chooses blocks.
    pub fn token_bytes(&self) -> usize {
        Past::token_bytes(self.shape, &self.attention)
    }

    /// Memory of a block of [`BLOCK_SIZE`] tokens, in bytes.
    pub fn block_bytes(&self) -> usize {
        self.token_bytes() * BLOCK_SIZE
    }

    /// Blocks in memory: those of all prompts and sequences of this decoder, shared ones once.
    pub fn blocks(&self) -> usize {
        self.counter.blocks()
    }

    /// What precedes a prompt: nothing.
    pub fn empty(&self) -> Past {
        Past::new(self.shape, &self.attention, &self.counter)
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

    /// A sequence that continues `prefix`; room for `capacity_hint` tokens of its own is reserved cheaply.
    pub fn start(&self, prefix: &Arc<Prefix>, capacity_hint: usize) -> Sequence {
        let mut past = prefix.past.clone();
        past.reserve(capacity_hint);
        Sequence {
            past,
            position: prefix.next_position,
        }
    }

    /// Appends `tokens[i]` to `sequences[i]` and sets `logits` to `[sequences, vocab_size]`: row `i` predicts the
    /// token after `tokens[i]`.
    ///
    /// # Panics
    /// When there are not as many tokens as sequences, or a token is not below [`vocab_size`](Self::vocab_size).
    pub fn step(&self, sequences: &mut [Sequence], tokens: &[u32], logits: &mut Vec<f32>) {
        self.step_masses(sequences, tokens, 1.0, logits, &mut Vec::new());
    }

    /// As [`step`](Self::step); sets `masses` to the parts of each row's soft-max at `temperature`, above 0, with the bits
    /// of [`Mass::of`]. They are taken while the head's products are at hand.
    ///
    /// # Panics
    /// As there.
    pub fn step_masses(
        &self,
        sequences: &mut [Sequence],
        tokens: &[u32],
        temperature: f32,
        logits: &mut Vec<f32>,
        masses: &mut Vec<Mass>,
    ) {
        let rows = sequences.len();
        assert_eq!(rows, tokens.len(), "one token for each sequence");
        let vocab = self.vocab_size();
        let parts = vocab.div_ceil(Mass::PART);
        logits.resize(rows * vocab, 0.0);
        masses.resize(rows * parts, Mass::default());
        let step = |sequences: &mut [Sequence], tokens: &[u32], logits, masses, threads| {
            let next = StepOutput {
                logits,
                temperature,
                masses,
            };
            self.step_rows(sequences, tokens, next, threads);
        };
        if rows == 0 {
            return;
        }
        if rows == 1 || !self.is_small() {
            // One entry into the pool, so that the products inside need not enter it one by one.
            rayon::scope(|_| step(sequences, tokens, logits, masses, Threads::Pool));
            return;
        }
        let piece = rows.div_ceil(rayon::current_num_threads());
        sequences
            .par_chunks_mut(piece)
            .zip(tokens.par_chunks(piece))
            .zip(logits.par_chunks_mut(piece * vocab))
            .zip(masses.par_chunks_mut(piece * parts))
            .for_each(|(((sequences, tokens), logits), masses)| {
                step(sequences, tokens, logits, masses, Threads::One);
            });
    }

    fn step_rows(
        &self,
        sequences: &mut [Sequence],
        tokens: &[u32],
        next: StepOutput<'_>,
        threads: Threads,
    ) {
        let rows = sequences.len();
        let mut scratch = self.take();
        scratch.x.resize(rows * self.weights.hidden, 0.0);
        self.weights.embed(tokens, &mut scratch.x);
        let positions = sequences.iter().map(|sequence| [sequence.position; 3]);
        self.rope
            .fill(positions, &mut scratch.cos, &mut scratch.sin);
        for (sequence, mark) in sequences.iter_mut().zip(self.attention.marks(tokens)) {
            sequence.past.grow(&[mark]);
            sequence.position += 1;
        }
        self.weights
            .layers(&mut scratch, rows, threads, |layer, qkv, out| {
                let width = self.qkv_width();
                for (sequence, row) in sequences.iter_mut().zip(qkv.chunks_exact(width)) {
                    sequence.past.write(layer, row, width, self.weights.queries);
                }
                self.attend_step(sequences, layer, qkv, out, threads);
            });
        self.weights.head.apply_masses(
            &scratch.normed[..rows * self.weights.hidden],
            next.logits,
            next.temperature,
            next.masses,
            threads,
        );
        self.give(scratch);
    }

    pub(super) fn is_small(&self) -> bool {
        self.bytes() <= SMALL
    }

    /// Values of the queries that share a key-value head, and of a row of queries, keys, values and gates.
    pub(super) fn group_width(&self) -> usize {
        self.weights.queries / self.shape.heads
    }

    pub(super) fn qkv_width(&self) -> usize {
        self.weights.queries + 2 * self.shape.heads * self.shape.head_dim + self.weights.gates
    }

    /// The queries of a key-value head in such a row, and their gates.
    pub(super) fn of_head<'a>(&self, row: &'a [f32], head: usize) -> [&'a [f32]; 2] {
        let (group, gates) = (self.group_width(), self.weights.gates / self.shape.heads);
        let first = row.len() - self.weights.gates + head * gates;
        [&row[head * group..][..group], &row[first..][..gates]]
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
            let past = &sequences[row].past;
            let q = self.of_head(&qkv[row * width..][..width], head);
            past.attend((layer, head), past.tokens(), q, self.scale, out);
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

    pub(super) fn take(&self) -> Scratch {
        self.scratch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_default()
    }

    pub(super) fn give(&self, scratch: Scratch) {
        self.scratch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(scratch);
    }
}
