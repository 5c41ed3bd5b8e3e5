//! Compressed data files: `.jsonl.gz`, `.csv.zst`, …. Rows are read in any order, so such a file is unpacked
//! once, into a temporary file without a name.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::Error;

/// A file may become this many times larger: text shrinks to a tenth, seldom to a fiftieth.
const MAX_EXPANSION: u64 = 200;

/// And to this many bytes whatever its size.
const ALWAYS_ALLOWED: u64 = 64 << 20;

/// The endings of compressed files.
pub(crate) fn is_packed(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    matches!(ending.as_deref(), Some("gz" | "zst"))
}

/// The file itself, or what it unpacks to.
pub(crate) fn unpacked(path: &Path, file: File) -> Result<File, Error> {
    if !is_packed(path) {
        return Ok(file);
    }
    let size = file.metadata().map_or(0, |m| m.len());
    let most = size
        .saturating_mul(MAX_EXPANSION)
        .saturating_add(ALWAYS_ALLOWED);
    let damaged = |e: std::io::Error| {
        Error::file("compressed file cannot be unpacked")
            .found(e)
            .help("the file is damaged or not what its ending says")
    };
    let packed = BufReader::new(file);
    let gzip = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    let mut reader: Box<dyn Read> = match gzip {
        true => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        false => Box::new(zstd::stream::read::Decoder::with_buffer(packed).map_err(damaged)?),
    };
    let disk = |e: std::io::Error| {
        Error::file(format!("no room for the unpacked file: {e}"))
            .help("set TMPDIR to a folder with more room, or unpack the file yourself")
    };
    let mut out = tempfile::tempfile().map_err(disk)?;
    let mut buffer = vec![0; 1 << 18];
    let mut total = 0;
    loop {
        let got = reader.read(&mut buffer).map_err(damaged)?;
        if got == 0 {
            break;
        }
        total += got as u64;
        if total > most {
            return Err(Error::file("compressed file becomes too large")
                .found(format!("more than {most} bytes from {size}"))
                .help("unpack it yourself if it is what it should be"));
        }
        out.write_all(&buffer[..got]).map_err(disk)?;
    }
    out.seek(SeekFrom::Start(0)).map_err(disk)?;
    Ok(out)
}
