//! Rows of JSONL, JSON, CSV and Parquet files as one data set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::convention::media::MediaReader;
use crate::convention::read::Convention;
use crate::formats::open::open;
use crate::formats::parquet::{Cache, DEFAULT_CACHE_BYTES};
use crate::formats::row::Rows;
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
            media: MediaReader {
                file: &source.path,
                row: number,
                folder: self.image_dir.as_deref().unwrap_or(beside),
                folders: &source.folders,
            },
            padded: source.rows.padded(),
        };
        convention.sample(row)
    }

    fn name(&self) -> &str {
        &self.name
    }
}
