//! Rows of JSONL, JSON, CSV and Parquet files as one data set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::convention::read::Convention;
use crate::formats::parquet::{Cache, DEFAULT_CACHE_BYTES};
use crate::formats::row::Rows;
use crate::formats::{compressed, csv, json, jsonl, parquet};
use crate::{ColumnMap, Dataset, Error, Sample};

/// Rows of one or more files, one after the other. A row is read when it is asked for.
pub struct FileDataset {
    name: String,
    columns: ColumnMap,
    image_dir: Option<PathBuf>,
    files: Vec<Source>,
    len: usize,
}

struct Source {
    path: PathBuf,
    /// Folders from which images that its rows name may leave this machine: its own, and that of the images.
    folders: Arc<[PathBuf]>,
    /// Index of its first row in the data set.
    first: usize,
    rows: Box<dyn Rows>,
}

impl FileDataset {
    /// Opens files by their ending: `.jsonl`, `.json`, `.parquet`, `.csv`, `.tsv`, all but Parquet also
    /// with `.gz` or `.zst`. Relative image paths start
    /// from `image_dir`, or from the folder of their data file.
    /// Only from these two folders do images leave this machine ([`Media::outgoing`](crate::Media::outgoing)).
    ///
    /// # Errors
    /// [`Error::File`] for a file that is missing, empty, of another kind or damaged;
    /// [`Error::Config`] when no file is named.
    pub fn open(
        paths: &[PathBuf],
        columns: &ColumnMap,
        image_dir: Option<&Path>,
    ) -> Result<Self, Error> {
        if paths.is_empty() {
            return Err(Error::config("no data files").help("name at least one in the recipe"));
        }
        let cache = Arc::new(Cache::new(DEFAULT_CACHE_BYTES));
        let mut files = Vec::new();
        let mut len = 0;
        for (index, path) in paths.iter().enumerate() {
            let rows = open(path, index, &cache).map_err(|error| error.in_file(path))?;
            let first = len;
            len += rows.len();
            let beside = path.parent().unwrap_or(Path::new(""));
            files.push(Source {
                path: path.clone(),
                folders: image_dir
                    .into_iter()
                    .chain([beside])
                    .map(Path::to_owned)
                    .collect(),
                first,
                rows,
            });
        }
        let names: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        if len == 0 {
            return Err(Error::file(format!("no rows in {}", names.join(", "))));
        }
        Ok(Self {
            name: names.join(", "),
            columns: columns.clone(),
            image_dir: image_dir.map(Path::to_path_buf),
            files,
            len,
        })
    }
}

const ENDINGS: &str =
    ".jsonl, .json, .parquet, .csv or .tsv; all but Parquet also with .gz or .zst";

const HELP_ARROW: &str = "write Parquet instead: python -c \"import datasets; \
    datasets.load_from_disk('FOLDER').to_parquet('train.parquet')\" (a single .arrow file: \
    datasets.Dataset.from_file('FILE.arrow'))";

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

impl Dataset for FileDataset {
    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, i: usize) -> Result<Sample, Error> {
        if i >= self.len {
            return Err(Error::row("no such row")
                .found(i)
                .expected(format!("0 to {}", self.len - 1)));
        }
        let source = &self.files[self.files.partition_point(|source| source.first <= i) - 1];
        let local = i - source.first;
        let number = source.rows.number(local);
        let row = source
            .rows
            .row(local)
            .map_err(|error| error.at(&source.path, number))?;
        let beside = source.path.parent().unwrap_or(Path::new("."));
        let convention = Convention {
            columns: &self.columns,
            file: &source.path,
            row: number,
            padded: source.rows.padded(),
            folder: self.image_dir.as_deref().unwrap_or(beside),
            folders: &source.folders,
        };
        convention.sample(row)
    }

    fn name(&self) -> &str {
        &self.name
    }
}
