//! Opening Parquet files that nobody vouches for.
//!
//! The library reads the footer, a value in Thrift's compact protocol, before anybody can look at it: it believes every
//! length and descends as deep as the schema says. A few bytes can thus ask for all memory or for all of the stack, and
//! neither can be caught. [`open`] walks the footer first, without believing anything, and then lets the library read it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod footer;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::ParquetError;
use parquet::file::reader::SerializedFileReader;

/// Bytes of a footer: a thousand columns in a thousand row groups have 100 MB.
const MAX_FOOTER: u64 = 256 << 20;

/// Opens a file whose footer is sound.
///
/// # Errors
/// What is wrong with it, in words.
pub fn open(mut file: File) -> Result<SerializedFileReader<File>, String> {
    let footer = read_footer(&mut file)?;
    footer::check(&footer)?;
    drop(footer);
    guarded(|| SerializedFileReader::new(file))
}

fn read_footer(file: &mut File) -> Result<Vec<u8>, String> {
    let unread = |e: std::io::Error| format!("cannot be read: {e}");
    let size = file.seek(SeekFrom::End(0)).map_err(unread)?;
    if size < 12 {
        return Err(format!(
            "{size} bytes, which is less than any Parquet file has"
        ));
    }
    let mut tail = [0; 8];
    file.seek(SeekFrom::End(-8)).map_err(unread)?;
    file.read_exact(&mut tail).map_err(unread)?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic != *b"PAR1" {
        return Err("it does not end as a Parquet file does (PAR1)".into());
    }
    let len = u64::from(u32::from_le_bytes([a, b, c, d]));
    if len > size - 12 || len > MAX_FOOTER {
        return Err(format!("a footer of {len} bytes in a file of {size}"));
    }
    file.seek(SeekFrom::Start(size - 8 - len)).map_err(unread)?;
    let mut footer = vec![0; len as usize];
    file.read_exact(&mut footer).map_err(unread)?;
    file.seek(SeekFrom::Start(0)).map_err(unread)?;
    Ok(footer)
}

/// Runs the library; it panics on types that it does not know and on damaged pages.
///
/// # Errors
/// What it says, as an error or in a panic.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
            .unwrap_or_else(|| "a damaged page".to_owned())),
    }
}
