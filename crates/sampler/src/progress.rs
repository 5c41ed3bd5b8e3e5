//! How far sampling is.

/// How far a call to [`Sampler::generate`](crate::Sampler::generate) is. Names after `tokens` are those of vLLM's metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Finished responses.
    pub done: usize,
    /// Responses in all.
    pub total: usize,
    /// Tokens sampled so far.
    pub tokens: usize,
    /// Sequences that made room for others and were computed again.
    pub num_preemptions: usize,
    /// The most memory that keys and values took, in bytes.
    pub kv_cache_bytes: usize,
    /// Tokens of prompts that were needed, and those of them that were known from an earlier prompt.
    pub prefix_cache_queries: usize,
    /// See `prefix_cache_queries`.
    pub prefix_cache_hits: usize,
    /// Images of prompts that were needed, and those of them that were not encoded.
    pub mm_cache_queries: usize,
    /// See `mm_cache_queries`.
    pub mm_cache_hits: usize,
}

impl Progress {
    /// Adds what another call did: sums, and the larger memory.
    pub fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.total += other.total;
        self.tokens += other.tokens;
        self.num_preemptions += other.num_preemptions;
        self.kv_cache_bytes = self.kv_cache_bytes.max(other.kv_cache_bytes);
        self.prefix_cache_queries += other.prefix_cache_queries;
        self.prefix_cache_hits += other.prefix_cache_hits;
        self.mm_cache_queries += other.mm_cache_queries;
        self.mm_cache_hits += other.mm_cache_hits;
    }
}
