//! The least work that a measurement takes, by the name of its row: products at one multiplication and one
//! addition each, and what must come from or go to memory once. What a row's roofline is made of.

use super::long::phsa;
use super::row::{Row, Unit};
use super::subject::{DIM, HEADS, HIDDEN, INNER, KV_HEADS, LAYERS, VOCABULARY};

/// Bytes of a number.
const F32: f64 = 4.0;

/// Arithmetic and memory traffic of a measurement, or of one token where it counts tokens.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub flops: f64,
    pub bytes: f64,
}

/// The limit that a machine of so many GFLOP/s and GB/s sets to a row.
pub fn limit(row: &Row, gflops: f64, gigabytes: f64) -> Option<f64> {
    let work = of(&row.name)?;
    let ms = (work.flops / gflops).max(work.bytes / gigabytes) / 1e6;
    Some(match row.unit {
        Unit::TokensPerSecond => 1e3 / ms,
        _ => ms,
    })
}

/// Of the row `suite/what`, or of one token where the row counts tokens; none where it is not known.
pub fn of(name: &str) -> Option<Work> {
    let (suite, what) = name.split_once('/')?;
    match suite {
        "operators" => operator(what),
        "log_prob" if what == "forward and backward" => Some(log_prob()),
        "sft" | "sft_bf16" if what == "step" => Some(training_step()),
        "group" => Some(group()),
        "decode" => decode(what),
        "attention" => attention(what),
        _ => None,
    }
}

/// Forward and backward at 2,048 tokens. An element-wise operator reads its arguments twice, and the
/// gradient of its result once.
fn operator(what: &str) -> Option<Work> {
    const TOKENS: usize = 2048;
    let arrays = |count: usize, size: usize| Work {
        flops: 0.0,
        bytes: (count * size) as f64 * F32,
    };
    Some(match what {
        "rms_norm" => arrays(5, TOKENS * HIDDEN),
        "swiglu" => arrays(8, TOKENS * INNER),
        "rotary" => arrays(4, TOKENS * (HEADS + KV_HEADS + 1) * DIM),
        "linear" => Work {
            flops: 3.0 * 2.0 * (TOKENS * HIDDEN * INNER) as f64,
            bytes: 0.0,
        },
        "attention" => Work {
            flops: 3.5 * 4.0 * causal(512) * (HEADS * DIM) as f64 * 4.0,
            bytes: 0.0,
        },
        // Rows in, rows out, their gradient; the gradient of the whole table.
        "embedding" => arrays(1, (3 * TOKENS + VOCABULARY) * HIDDEN),
        // Parameter and moments in and out, the gradient in.
        "adamw" => arrays(7, 1 << 22),
        _ => return None,
    })
}

/// Pairs of a query and a key in a text of `length` tokens.
fn causal(length: usize) -> f64 {
    (length * (length + 1)) as f64 / 2.0
}

/// Logits, and both gradients from them.
fn log_prob() -> Work {
    Work {
        flops: 3.0 * 2.0 * (4096 * HIDDEN) as f64 * 151_936.0,
        bytes: 0.0,
    }
}

/// Weights of the layers that every token is multiplied with.
fn layer_weights() -> f64 {
    let attention = 2 * HIDDEN * HEADS * DIM + 2 * HIDDEN * KV_HEADS * DIM;
    (LAYERS * (attention + 3 * HIDDEN * INNER)) as f64
}

/// Weights of the head.
fn head_weights() -> f64 {
    (VOCABULARY * HIDDEN) as f64
}

/// Attention of all layers over so many pairs, forward and backward.
fn trained_pairs(pairs: f64) -> f64 {
    3.5 * 4.0 * pairs * (LAYERS * HEADS * DIM) as f64
}

/// One token of 4 rows of 512.
fn training_step() -> Work {
    let attention = trained_pairs(causal(512)) / 512.0;
    Work {
        flops: 6.0 * (layer_weights() + head_weights()) + attention,
        bytes: 0.0,
    }
}

/// A prompt of 1,024 tokens and 8 answers of 128, the head at the answers. The vision tower, small beside it,
/// is left out.
fn group() -> Work {
    let answers = 8.0 * 128.0;
    let pairs = causal(1024) + answers * 1024.0 + 8.0 * causal(128);
    Work {
        flops: 6.0 * ((1024.0 + answers) * layer_weights() + answers * head_weights())
            + trained_pairs(pairs),
        bytes: 0.0,
    }
}

/// A new token after a prompt of 16, 128 of them in a sequence: every token, those of the prompt too,
/// multiplies with every weight; every step reads them.
fn decode(what: &str) -> Option<Work> {
    let (prompt, new) = (16.0, 128.0);
    let mut parts = what.strip_prefix("batch ")?.split(", ");
    let batch: f64 = parts.next()?.parse().ok()?;
    let bytes = match parts.next() {
        Some("bf16") => 2.0,
        _ => F32,
    };
    let weights = layer_weights() + head_weights();
    Some(Work {
        flops: 2.0 * weights * (prompt + new) / new,
        bytes: bytes * weights / batch,
    })
}

/// `LENGTH pass[, kind[, the choice alone]]`
fn attention(what: &str) -> Option<Work> {
    let mut parts = what.split(", ");
    let (length, pass) = parts.next()?.split_once(' ')?;
    let length: usize = length.parse().ok()?;
    let (kind, choice) = (parts.next(), parts.next());
    let width = (HEADS * DIM) as f64;
    let cached = (KV_HEADS * DIM) as f64 * F32;
    // Keys that the query at `place` sees, block keys that it scores.
    let seen = |place: usize| match kind {
        None => Some((place as f64 + 1.0, 0.0)),
        Some("phsa") => {
            let o = phsa();
            let always = o.init + o.local + o.top_k * o.block_size;
            let keys = (place + 1) as f64 / o.block_size as f64;
            Some(((place + 1).min(always) as f64, keys.floor()))
        }
        Some(_) => None,
    };
    let work = |keys: f64, blocks: f64| match pass {
        "decode" => Work {
            flops: (4.0 * keys + 2.0 * blocks) * width,
            bytes: (2.0 * keys + blocks) * cached,
        },
        // Two products forward, five backward.
        "forward and backward" => Work {
            flops: (14.0 * keys + 2.0 * blocks) * width,
            bytes: 0.0,
        },
        _ => Work {
            flops: (4.0 * keys + 2.0 * blocks) * width,
            bytes: 0.0,
        },
    };
    let (mut keys, mut blocks) = (0.0, 0.0);
    let places = if pass == "decode" {
        length - 1..length
    } else {
        0..length
    };
    for place in places {
        let (more_keys, more_blocks) = seen(place)?;
        keys += more_keys;
        blocks += more_blocks;
    }
    Some(match choice {
        None => work(keys, blocks),
        Some(_) => work(0.0, blocks),
    })
}

#[cfg(test)]
mod tests {
    use super::super::long::LONGEST;
    use super::*;

    #[test]
    fn sharing_and_sparsity_are_less_work() {
        let flops = |name: &str| of(name).map(|work| work.flops).unwrap();
        // 97.3 % sparse, and what it takes to choose: the last query scores 2,048 block keys.
        let full = flops("attention/32768 decode");
        let sparse = flops("attention/32768 decode, phsa");
        assert!((sparse / full - (896.0 + 1024.0) / LONGEST as f64).abs() < 1e-6);
        let step = flops("sft/step");
        assert!((1.0e8..1.3e8).contains(&step), "{step}");
        // Without sharing, the group's answers bring eight prompts along.
        let shared = flops("group/update, prompt shared") / step;
        assert!(shared > 1500.0 && shared < 2300.0, "{shared} tokens' worth");
        assert!(of("operators/adamw").is_some_and(|w| w.bytes == 7.0 * 4.0 * f64::from(1 << 22)));
        assert!(of("grpo/reward").is_none());
    }

    #[test]
    fn a_row_with_less_precise_weights_reads_half() {
        let bytes = |name: &str| of(name).map(|work| work.bytes).unwrap();
        assert_eq!(
            bytes("decode/batch 16"),
            2.0 * bytes("decode/batch 16, bf16")
        );
        assert_eq!(
            bytes("decode/batch 16"),
            bytes("decode/batch 16, rollout engine")
        );
    }
}
