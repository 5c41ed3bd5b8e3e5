//! Prompts that were computed: a prompt that starts with the same tokens and images need not compute the start again.
//!
//! Whole blocks of keys and values are shared, as vLLM's automatic prefix caching shares them. A block is known by what
//! stands before it and by its own tokens, positions and images, all compared and not only hashed; keys and values of a
//! token depend on nothing else, so sharing changes no bit.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use percept_model::{BLOCK_SIZE, Past, Prompt};

use super::images::Image;
use super::runner::PerModel;

/// All that a token's row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct TokenCell {
    token: u32,
    position: [u32; 3],
    /// The image and which of its merged tokens; zeros for text.
    vision: (u64, u32),
}

/// A prompt as the cache compares it.
#[derive(Debug)]
pub(crate) struct PromptCells {
    cells: Vec<TokenCell>,
    pub images: Vec<Arc<Image>>,
    /// Token rows at which the images end.
    ends: Vec<usize>,
}

impl PromptCells {
    /// `places` are the token rows of each image.
    pub fn new<'p>(
        prompt: &Prompt,
        images: Vec<Arc<Image>>,
        places: impl Iterator<Item = &'p [u32]>,
    ) -> Self {
        let rows = prompt.tokens.iter().zip(&prompt.positions);
        let mut cells: Vec<TokenCell> = rows
            .map(|(&token, &position)| TokenCell {
                token,
                position,
                vision: (0, 0),
            })
            .collect();
        let mut ends = Vec::with_capacity(images.len());
        for (image, places) in images.iter().zip(places) {
            ends.push(places.last().map_or(0, |&last| last as usize + 1));
            for (&row, merged) in places.iter().zip(0..) {
                cells[row as usize].vision = (image.id, merged);
            }
        }
        Self {
            cells,
            images,
            ends,
        }
    }

    /// Tokens of the prompt.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Images that show in the rows from `first` on.
    pub fn images_from(&self, first: usize) -> impl Iterator<Item = &Arc<Image>> {
        let images = self.images.iter().zip(&self.ends);
        images.filter_map(move |(image, &end)| (end > first).then_some(image))
    }

    fn block(&self, index: usize, before: u64) -> Option<BlockKey> {
        let cells = self.cells.chunks_exact(BLOCK_SIZE).nth(index)?;
        Some(BlockKey {
            before,
            cells: cells.into(),
        })
    }
}

/// A block: the one before it (0: none), and its own cells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BlockKey {
    before: u64,
    cells: Box<[TokenCell]>,
}

/// A block that is held.
struct CachedBlock {
    id: u64,
    /// The latest prompt that has it.
    holder: u64,
}

/// A computed prompt.
struct CachedPrompt {
    /// Its whole blocks.
    past: PerModel<Past>,
    keys: Vec<BlockKey>,
    images: Vec<Arc<Image>>,
    /// Blocks of which it is the holder.
    held: usize,
    pin: Pin,
}

/// As long as a clone is held the prompt is in use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pin(Arc<()>);

/// The start of a prompt that is known, and what comes next.
#[derive(Default)]
pub(crate) struct CachedPrefix {
    /// Keys and values of the start; nothing when nothing is known.
    pub past: PerModel<Past>,
    /// The first block that is not known, where it is a whole one.
    pub next: Option<BlockKey>,
}

impl CachedPrefix {
    /// Tokens that are known.
    pub fn tokens(&self) -> usize {
        self.past.first().map_or(0, Past::tokens)
    }
}

/// ComputedPrompt prompts, oldest first.
#[derive(Default)]
pub(crate) struct PrefixCache {
    nodes: HashMap<BlockKey, CachedBlock>,
    entries: BTreeMap<u64, CachedPrompt>,
    clock: u64,
}

impl PrefixCache {
    /// The longest known start of a prompt that leaves a token to compute.
    pub fn find(&self, prompt: &PromptCells) -> CachedPrefix {
        let most = prompt.len().saturating_sub(1) / BLOCK_SIZE;
        let (mut blocks, mut before, mut holder) = (0, 0, None);
        let next = loop {
            let Some(key) = prompt.block(blocks, before) else {
                break None;
            };
            match self.nodes.get(&key) {
                Some(node) if blocks < most => {
                    (before, holder) = (node.id, Some(node.holder));
                    blocks += 1;
                }
                _ => break Some(key),
            }
        };
        let entry = holder.and_then(|holder| self.entries.get(&holder));
        CachedPrefix {
            past: entry.map_or_else(Vec::new, |entry| cut(&entry.past, blocks)),
            next,
        }
    }

    /// Keeps a computed prompt; it can be dropped when no clone of `pin` is left.
    pub fn insert<'p>(
        &mut self,
        prompt: &PromptCells,
        past: impl Iterator<Item = &'p Past>,
        pin: &Pin,
    ) {
        let blocks = prompt.len() / BLOCK_SIZE;
        if blocks == 0 {
            return;
        }
        self.clock += 1;
        let holder = self.clock;
        let mut keys = Vec::with_capacity(blocks);
        let mut before = 0;
        for block in 0..blocks {
            let Some(key) = prompt.block(block, before) else {
                break;
            };
            // Identities of blocks and of prompts come from one clock: none is given twice.
            self.clock += 1;
            let fresh = CachedBlock {
                id: self.clock,
                holder,
            };
            let node = self.nodes.entry(key.clone()).or_insert(fresh);
            before = node.id;
            let former = std::mem::replace(&mut node.holder, holder);
            if former != holder {
                self.release(former);
            }
            keys.push(key);
        }
        let entry = CachedPrompt {
            past: cut(past, blocks),
            held: keys.len(),
            keys,
            images: prompt.images.clone(),
            pin: pin.clone(),
        };
        self.entries.insert(holder, entry);
    }

    /// A later prompt has one of its blocks too.
    fn release(&mut self, holder: u64) {
        let Some(entry) = self.entries.get_mut(&holder) else {
            return;
        };
        entry.held -= 1;
        if entry.held == 0 {
            self.entries.remove(&holder);
        }
    }

    /// Drops the oldest prompt that is not in use; whether there was one.
    pub fn evict(&mut self) -> bool {
        let idle = self.entries.iter().find(|(_, entry)| entry.is_idle());
        let Some((&holder, _)) = idle else {
            return false;
        };
        if let Some(entry) = self.entries.remove(&holder) {
            self.inherit(holder, &entry.keys);
        }
        true
    }

    /// Blocks of a dropped prompt go to the one that has most of them, and the others are forgotten.
    fn inherit(&mut self, former: u64, keys: &[BlockKey]) {
        let common = |entry: &CachedPrompt| {
            let both = entry.keys.iter().zip(keys);
            both.take_while(|(a, b)| a == b).count()
        };
        let heirs = self.entries.iter_mut();
        let heir = heirs.map(|(&id, entry)| (common(entry), id, entry));
        let mut heir = heir.max_by_key(|(common, id, _)| (*common, *id));
        for (block, key) in keys.iter().enumerate() {
            let Some(node) = self.nodes.get_mut(key).filter(|n| n.holder == former) else {
                continue;
            };
            match &mut heir {
                Some((common, id, entry)) if block < *common => {
                    node.holder = *id;
                    entry.held += 1;
                }
                _ => {
                    self.nodes.remove(key);
                }
            }
        }
    }

    /// Blocks of prompts that are not in use: about as many are freed when all are dropped.
    pub fn idle_blocks(&self) -> usize {
        let idle = self.entries.values().filter(|entry| entry.is_idle());
        idle.map(|entry| entry.held).sum()
    }

    /// Memory of prompts that are not in use, in bytes: blocks, and the pixels by which images are told apart.
    fn idle_bytes(&self, block: usize) -> usize {
        let mut seen = HashSet::new();
        let idle = self.entries.values().filter(|entry| entry.is_idle());
        idle.map(|entry| {
            let images = entry.images.iter().filter(|image| seen.insert(image.id));
            entry.held * block + images.map(|image| image.bytes()).sum::<usize>()
        })
        .sum()
    }

    /// Drops the oldest prompts that are not in use until the others take at most `most` bytes.
    pub fn trim(&mut self, most: usize, block: usize) {
        while self.idle_bytes(block) > most && self.evict() {}
    }
}

/// The first `blocks` blocks of each.
fn cut<P: Borrow<Past>>(past: impl IntoIterator<Item = P>, blocks: usize) -> PerModel<Past> {
    let cut = |past: P| past.borrow().cut(blocks * BLOCK_SIZE);
    past.into_iter().map(cut).collect()
}

impl CachedPrompt {
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.pin.0) == 1
    }
}
