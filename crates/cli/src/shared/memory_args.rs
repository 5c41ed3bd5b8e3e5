//! Options of the memory of keys and values.

use clap::Args;
use percept_sampler::EngineConfig;

/// Memory of keys and values (names of vLLM).
#[derive(Debug, Clone, Args)]
pub struct MemoryArgs {
    /// Limit on the memory of the KV cache: bytes, or 512M, 1.5G (powers of 1,024); 0: no limit.
    /// Sequences wait until they fit; if memory runs out, the youngest are preempted and recomputed.
    /// The result does not change.
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = size)]
    pub kv_cache_memory_bytes: usize,
    /// Turn off prefix caching: compute every prompt from its start, even if another prompt begins
    /// with the same tokens and images.
    #[arg(long)]
    pub no_enable_prefix_caching: bool,
}

impl MemoryArgs {
    /// An engine with this memory that decodes so many sequences at once.
    pub fn engine(&self, max_num_seqs: usize) -> EngineConfig {
        EngineConfig {
            max_num_seqs,
            kv_cache_memory_bytes: self.kv_cache_memory_bytes,
            enable_prefix_caching: !self.no_enable_prefix_caching,
        }
    }
}

/// Bytes: a number, or one with K, M, G or T (powers of 1,024).
pub fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err("expected bytes, or a number with K, M, G or T".to_owned()),
    };
    let number: f64 = digits
        .parse()
        .map_err(|_| "expected bytes, or a number with K, M, G or T".to_owned())?;
    if !(number >= 0.0 && number.is_finite()) {
        return Err("expected 0 or more".to_owned());
    }
    Ok((number * unit as f64) as usize)
}
