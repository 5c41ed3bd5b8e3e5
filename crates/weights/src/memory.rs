//! Whether the machine can hold some weights.

use crate::{Error, Spec};

/// Refuses weights that this machine cannot hold, before anything is allocated.
///
/// # Errors
/// [`Error::Config`] naming the fields that decide their size.
pub fn check_memory(specs: &[Spec]) -> Result<(), Error> {
    let elements = specs
        .iter()
        .map(|spec| spec.shape.iter().map(|n| *n as f64).product::<f64>());
    let bytes = 4.0 * elements.sum::<f64>();
    let memory = memory();
    if bytes <= memory {
        return Ok(());
    }
    let gib = |bytes: f64| bytes / (1u64 << 30) as f64;
    Err(Error::Config {
        file: "config.json".into(),
        field: "hidden_size, num_hidden_layers, vocab_size".into(),
        message: format!(
            "the weights take {:.1} GiB in float32, this machine has {:.1} GiB of memory and swap\n  help: a smaller \
             model, or a machine with more memory",
            gib(bytes),
            gib(memory)
        ),
    })
}

/// Memory and swap of the machine, in bytes; 2^50 where it does not say.
fn memory() -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    };
    match kib("MemTotal:") {
        Some(total) => 1024.0 * (total + kib("SwapTotal:").unwrap_or(0.0)),
        None => (1u64 << 50) as f64,
    }
}
