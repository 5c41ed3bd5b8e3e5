//! The sequences that are decoded together.

use percept_model::Sequence;

use super::partial::PartialRollout;
use super::prefix_cache::Pin;
use super::runner::PerModel;

/// The sequences that are decoded together: a place in each list is one of them.
pub(crate) struct Running {
    pub rollouts: Vec<PartialRollout>,
    pub sequences: PerModel<Vec<Sequence>>,
    /// Their prompts are in use.
    pins: Vec<Pin>,
}

impl Running {
    pub fn new(models: usize) -> Self {
        Self {
            rollouts: Vec::new(),
            sequences: (0..models).map(|_| Vec::new()).collect(),
            pins: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.rollouts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rollouts.is_empty()
    }

    pub fn push(&mut self, partial: PartialRollout, sequences: PerModel<Sequence>, pin: Pin) {
        self.rollouts.push(partial);
        self.pins.push(pin);
        for (all, one) in self.sequences.iter_mut().zip(sequences) {
            all.push(one);
        }
    }

    /// Takes a sequence out; its keys and values are freed.
    pub fn remove(&mut self, index: usize) -> PartialRollout {
        self.pins.swap_remove(index);
        for all in &mut self.sequences {
            all.swap_remove(index);
        }
        self.rollouts.swap_remove(index)
    }

    /// Sequences whose next token takes a block. Both models' blocks begin and end with the same tokens.
    pub fn growing(&self) -> usize {
        let takes = |sequence: &&Sequence| sequence.next_takes_block();
        let growing = self
            .sequences
            .iter()
            .map(|all| all.iter().filter(takes).count());
        growing.max().unwrap_or(0)
    }
}
