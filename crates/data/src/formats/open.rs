//! Opens a data file by its ending.

use std::path::Path;
use std::sync::Arc;

use crate::Error;
use crate::formats::parquet::Cache;
use crate::formats::row::Rows;
use crate::formats::{compressed, csv, json, jsonl, parquet};

const ENDINGS: &str =
    ".jsonl, .json, .parquet, .csv or .tsv; all but Parquet also with .gz or .zst";

const HELP_ARROW: &str = "write Parquet instead: python -c \"import datasets; \
    datasets.load_from_disk('FOLDER').to_parquet('train.parquet')\" (a single .arrow file: \
    datasets.Dataset.from_file('FILE.arrow'))";

/// The rows of a file; `index` tells its row groups from those of other files in `cache`.
pub(crate) fn open(path: &Path, index: usize, cache: &Arc<Cache>) -> Result<Box<dyn Rows>, Error> {
    if path.is_dir() {
        let saved = path.join("state.json").exists() || path.join("dataset_dict.json").exists();
        return Err(match saved {
            true => Error::file("data file is a folder of datasets' save_to_disk").help(HELP_ARROW),
            false => Error::file("data file is a folder").help("name the files inside it"),
        });
    }
    // Rows are read in any order, again and again. A pipe gives its content once, or never.
    if let Ok(found) = path.metadata()
        && !found.is_file()
    {
        return Err(Error::file("data file is no regular file")
            .found(crate::error::kind_of_file(found.file_type()))
            .help("write its content to a file first"));
    }
    let plain = match compressed::is_packed(path) {
        true => path.with_extension(""),
        false => path.to_path_buf(),
    };
    let ending = plain
        .extension()
        .map(|e| e.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("csv") => Ok(Box::new(csv::open(path, b',')?)),
        Some("tsv") => Ok(Box::new(csv::open(path, b'\t')?)),
        Some("arrow" | "feather") => Err(Error::file("Arrow files are not read")
            .expected(ENDINGS)
            .help(HELP_ARROW)),
        Some("parquet") if compressed::is_packed(path) => {
            Err(Error::file("compressed Parquet file")
                .help("unpack it; Parquet is compressed inside"))
        }
        Some("bz2" | "xz" | "zip" | "tar" | "tgz" | "7z") => Err(Error::file("packed data file")
            .found(format!("ending {:?}", ending.unwrap_or_default()))
            .expected(ENDINGS)
            .help("unpack it, or pack it with gzip or zstd")),
        Some("jsonl" | "ndjson") => Ok(Box::new(jsonl::open(path)?)),
        Some("json") => Ok(Box::new(json::open(path)?)),
        Some("parquet") => Ok(Box::new(parquet::open(path, index, Arc::clone(cache))?)),
        _ => Err(Error::file("unknown kind of data file")
            .found(format!("ending {:?}", ending.unwrap_or_default()))
            .expected(ENDINGS)),
    }
}
