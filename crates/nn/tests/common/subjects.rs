//! The devices under test.

// A test may need less of a subject than another.
#![allow(dead_code)]

use std::sync::LazyLock;

use burn::tensor::Device;

/// A device to be compared with the CPU.
pub struct Subject {
    /// As recipes name it.
    pub name: String,
    /// Itself.
    pub device: Device,
    /// How far f32 results may be from the CPU's, relative to the largest.
    pub tolerance: f32,
}

static ALL: LazyLock<Vec<Subject>> = LazyLock::new(|| {
    let names = match std::env::var("PERCEPT_TEST_DEVICE") {
        Ok(name) => vec![name],
        Err(_) => percept_nn::device_names().split_off(1),
    };
    if names.is_empty() {
        println!("no device beside the CPU in this build or on this machine: nothing to compare");
    }
    names.into_iter().map(Subject::new).collect()
});

/// The device that `PERCEPT_TEST_DEVICE` names, which must be there; without it, all that this build
/// finds on this machine beside the CPU.
pub fn subjects() -> &'static [Subject] {
    &ALL
}

impl Subject {
    fn new(name: String) -> Self {
        let device = percept_nn::parse_device(&name).unwrap();
        let model = percept_nn::device_model(&device).unwrap_or_default();
        println!("{name}: {model}");
        // CUDA's tensor cores round the factors of f32 products to 10 bits of mantissa.
        let tolerance = if name.starts_with("cuda") { 1e-2 } else { 1e-4 };
        Self {
            name,
            device,
            tolerance,
        }
    }
}
