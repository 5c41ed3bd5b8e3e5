//! Fuzz targets: each is one function of bytes that must not panic, hang or break a promise.
//!
//! ```text
//! cargo +nightly fuzz run --features libfuzzer math_answer     # libFuzzer, until stopped
//! cargo test --release                                         # the same functions, fixed seeds
//! ```
//!
//! A new target: `src/NAME.rs` with `pub fn fuzz(data: &[u8])`, its line in [`TARGETS`],
//! `fuzz_targets/NAME.rs` and a `[[bin]]` in `Cargo.toml`.

pub mod boxes;
pub mod chat_template;
pub mod choice;
pub mod files;
pub mod math_answer;
pub mod model_config;
pub mod recipe;
pub mod rows_json;
pub mod rows_jsonl;
pub mod rows_parquet;
pub mod safetensors;

/// A target: its name, its function, and pieces of valid input from which tests build nearly valid
/// ones.
pub struct Target {
    /// Name of the binary.
    pub name: &'static str,
    /// The function.
    pub fuzz: fn(&[u8]),
    /// Pieces of valid input.
    pub pieces: &'static [&'static str],
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "math_answer",
        fuzz: math_answer::fuzz,
        pieces: math_answer::PIECES,
    },
    Target {
        name: "boxes",
        fuzz: boxes::fuzz,
        pieces: boxes::PIECES,
    },
    Target {
        name: "choice",
        fuzz: choice::fuzz,
        pieces: choice::PIECES,
    },
    Target {
        name: "rows_jsonl",
        fuzz: rows_jsonl::fuzz,
        pieces: rows_jsonl::PIECES,
    },
    Target {
        name: "rows_json",
        fuzz: rows_json::fuzz,
        pieces: rows_json::PIECES,
    },
    Target {
        name: "rows_parquet",
        fuzz: rows_parquet::fuzz,
        pieces: rows_parquet::PIECES,
    },
    Target {
        name: "chat_template",
        fuzz: chat_template::fuzz,
        pieces: chat_template::PIECES,
    },
    Target {
        name: "model_config",
        fuzz: model_config::fuzz,
        pieces: model_config::PIECES,
    },
    Target {
        name: "safetensors",
        fuzz: safetensors::fuzz,
        pieces: safetensors::PIECES,
    },
    Target {
        name: "recipe",
        fuzz: recipe::fuzz,
        pieces: recipe::PIECES,
    },
];

/// Any bytes as text.
pub(crate) fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}
