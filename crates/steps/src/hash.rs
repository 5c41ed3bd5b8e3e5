//! SHA-256 of what was written, and draws by what they are for.

use std::io::Read;
use std::path::Path;

use percept_base::hex;
use sha2::{Digest, Sha256};

use crate::StepError;
use crate::error::io;

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A number that is a function of the seed and of what it is drawn for.
pub fn draw(seed: u64, what: &[&str]) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    for part in what {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize()[..8]);
    u64::from_le_bytes(bytes)
}

/// SHA-256 of a file, read in blocks.
///
/// # Errors
/// A file that cannot be read.
pub fn file_sha256(path: &Path) -> Result<String, StepError> {
    let mut file = std::fs::File::open(path).map_err(io(path))?;
    let (mut hasher, mut block) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut block).map_err(io(path))? {
            0 => break,
            read => hasher.update(&block[..read]),
        }
    }
    Ok(hex(&hasher.finalize()))
}
