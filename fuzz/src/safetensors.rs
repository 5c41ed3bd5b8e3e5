//! Safetensors headers and shard indices: read or refused, never out of bounds.

use percept_model::{Checkpoint, LoadOptions};

/// Pieces of headers and indices.
pub const PIECES: &[&str] = &[
    "{",
    "}",
    ",",
    ":",
    "[",
    "]",
    "\"a\":",
    "\"b\":",
    "\"dtype\":",
    "\"F32\"",
    "\"BF16\"",
    "\"F4\"",
    "\"shape\":",
    "[1]",
    "[2,2]",
    "[]",
    "[0]",
    "[18446744073709551615]",
    "\"data_offsets\":",
    "[0,4]",
    "[4,20]",
    "[0,16]",
    "[4,0]",
    "\"__metadata__\":",
    "\"weight_map\":",
    "\"one.safetensors\"",
    "\"../one.safetensors\"",
    "\"model.\"",
    " ",
    "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
];

/// The data as a header in front of twenty bytes, as a whole file, and as an index.
pub fn fuzz(data: &[u8]) {
    let mut file = (data.len() as u64).to_le_bytes().to_vec();
    file.extend(data);
    file.extend([0; 20]);
    read(&[("model.safetensors", &file)]);
    read(&[("model.safetensors", data)]);
    read(&[
        ("model.safetensors.index.json", data),
        ("one.safetensors", &file),
    ]);
}

fn read(files: &[(&str, &[u8])]) {
    crate::files::in_folder(files, |folder| {
        let Ok(checkpoint) = Checkpoint::open(folder) else {
            return;
        };
        for name in checkpoint.names() {
            for shape in [&[][..], &[0], &[1], &[2, 2]] {
                if let Ok(values) = checkpoint.read(name, shape, LoadOptions::default()) {
                    assert_eq!(values.len(), shape.iter().product::<usize>());
                }
            }
        }
    });
}
