//! Parquet: row groups are decoded on demand and kept in a cache with a byte budget.
//!
//! The row group is the unit of reading. A file written as one huge row group costs its decoded
//! size in memory; `row_group_size=100` (as Hugging Face writes image sets) keeps it small.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use percept_parquet::guarded;
use serde_json::Number;

use crate::Error;
use crate::formats::random_file;
use crate::formats::row::{Row, Rows, Value, row_size};

/// Decoded rows kept in memory by default, over all Parquet files of a data set.
pub(crate) const DEFAULT_CACHE_BYTES: usize = 1 << 30;

/// A row group may decode to so many bytes …
const LARGEST_GROUP: usize = 2 << 30;
/// … or to so many times its size on the disk: text seldom shrinks to less than a twentieth.
const LARGEST_RATIO: usize = 20;

/// Decoded row groups of several files, least recently used first.
pub(crate) struct Cache {
    budget: usize,
    groups: Mutex<VecDeque<Entry>>,
}

struct Entry {
    key: (usize, usize),
    rows: Arc<Vec<Row>>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            budget,
            groups: Mutex::new(VecDeque::new()),
        }
    }

    fn find(&self, key: (usize, usize)) -> Option<Arc<Vec<Row>>> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let i = groups.iter().position(|entry| entry.key == key)?;
        let entry = groups.remove(i)?;
        let rows = entry.rows.clone();
        groups.push_back(entry);
        Some(rows)
    }

    fn keep(&self, key: (usize, usize), rows: Arc<Vec<Row>>) {
        let bytes = rows.iter().map(|row| row_size(row)).sum();
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.push_back(Entry { key, rows, bytes });
        let mut total: usize = groups.iter().map(|entry| entry.bytes).sum();
        while total > self.budget && groups.len() > 1 {
            let Some(oldest) = groups.pop_front() else {
                break;
            };
            total -= oldest.bytes;
        }
    }
}

/// One Parquet file.
pub(crate) struct ParquetRows {
    reader: SerializedFileReader<File>,
    /// First row of each group, and the total at the end.
    starts: Vec<usize>,
    cache: Arc<Cache>,
    /// Number of this file in the shared cache.
    file: usize,
    /// Held while a group is decoded, so that two threads never decode the same one.
    decoding: Vec<Mutex<()>>,
}

/// Opens a file; `file` is its key in `cache`.
pub(crate) fn open(path: &Path, file: usize, cache: Arc<Cache>) -> Result<ParquetRows, Error> {
    let handle = random_file::open(path)?;
    let reader = percept_parquet::open(handle).map_err(|reason| {
        Error::file("not a Parquet file, or a damaged one")
            .found(reason)
            .help("write it again with pyarrow, or name JSON data .json or .jsonl")
    })?;
    let mut starts = vec![0_usize];
    for group in reader.metadata().row_groups() {
        let total = usize::try_from(group.num_rows())
            .ok()
            .and_then(|rows| starts[starts.len() - 1].checked_add(rows))
            .filter(|&total| total <= u32::MAX as usize);
        match total {
            Some(total) => starts.push(total),
            None => {
                return Err(
                    Error::file("Parquet row group has an impossible number of rows")
                        .found(group.num_rows()),
                );
            }
        }
    }
    let declared = reader.metadata().file_metadata().num_rows();
    if usize::try_from(declared) != Ok(starts[starts.len() - 1]) {
        return Err(Error::file("damaged Parquet file")
            .found(format!("{declared} rows"))
            .expected(format!(
                "{}, the sum of its row groups",
                starts[starts.len() - 1]
            )));
    }
    Ok(ParquetRows {
        decoding: (1..starts.len()).map(|_| Mutex::new(())).collect(),
        reader,
        starts,
        cache,
        file,
    })
}

impl ParquetRows {
    fn group(&self, index: usize) -> Result<Arc<Vec<Row>>, Error> {
        let key = (self.file, index);
        if let Some(rows) = self.cache.find(key) {
            return Ok(rows);
        }
        let _alone = self.decoding[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(rows) = self.cache.find(key) {
            return Ok(rows);
        }
        let rows = Arc::new(self.decode(index)?);
        self.cache.keep(key, rows.clone());
        Ok(rows)
    }

    /// Bytes that a row group may decode to: what a dictionary repeats can be a million times its size on the disk. A group
    /// that is large on the disk was meant to be large.
    fn limit(&self, index: usize) -> usize {
        let stored = self.reader.metadata().row_group(index).compressed_size();
        usize::try_from(stored)
            .unwrap_or(0)
            .saturating_mul(LARGEST_RATIO)
            .max(LARGEST_GROUP)
    }

    fn decode(&self, index: usize) -> Result<Vec<Row>, Error> {
        let limit = self.limit(index);
        guarded(|| {
            let group = self.reader.get_row_group(index)?;
            let (mut rows, mut bytes) = (Vec::new(), 0);
            for row in group.get_row_iter(None)? {
                let row = convert_row(row?);
                bytes += size_of::<Row>() + row_size(&row);
                if bytes > limit {
                    return Err(ParquetError::General(format!(
                        "its first {} rows are {bytes} bytes; at most {limit} are read at once",
                        rows.len() + 1
                    )));
                }
                rows.push(row);
            }
            Ok(rows)
        })
        .map_err(|reason| {
            Error::file(format!("row group {index} cannot be decoded"))
                .found(reason)
                .help("write the file again with pyarrow (columns of text, numbers, bytes, lists and structs; small row groups: row_group_size=1000)")
        })
    }
}

impl Rows for ParquetRows {
    fn len(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    fn padded(&self) -> bool {
        true
    }

    fn row(&self, i: usize) -> Result<Row, Error> {
        let index = self.starts.partition_point(|&start| start <= i) - 1;
        let group = self.group(index)?;
        match group.get(i - self.starts[index]) {
            Some(row) => Ok(row.clone()),
            None => Err(Error::file(format!(
                "row group {index} has fewer rows than its header says"
            ))),
        }
    }
}

fn convert_row(row: parquet::record::Row) -> Row {
    let columns = row.into_columns().into_iter();
    columns
        .map(|(name, field)| (name, convert(&field)))
        .collect()
}

fn convert(field: &Field) -> Value {
    let float = |v: f64| Number::from_f64(v).map_or(Value::Null, Value::Number);
    match field {
        Field::Null => Value::Null,
        Field::Bool(b) => Value::Bool(*b),
        Field::Byte(n) => Value::Number((*n).into()),
        Field::Short(n) => Value::Number((*n).into()),
        Field::Int(n) => Value::Number((*n).into()),
        Field::Long(n) => Value::Number((*n).into()),
        Field::UByte(n) => Value::Number((*n).into()),
        Field::UShort(n) => Value::Number((*n).into()),
        Field::UInt(n) => Value::Number((*n).into()),
        Field::ULong(n) => Value::Number((*n).into()),
        Field::Float16(v) => float(shortest_half(*v)),
        // Through text, so that 0.1 stays 0.1 and does not become 0.10000000149.
        Field::Float(v) => float(v.to_string().parse().unwrap_or(f64::from(*v))),
        Field::Double(v) => float(*v),
        Field::Str(text) => Value::Text(text.clone()),
        Field::Bytes(bytes) => Value::Bytes(bytes.data().into()),
        Field::Group(row) => Value::Struct(
            row.get_column_iter()
                .map(|(name, field)| (name.clone(), convert(field)))
                .collect(),
        ),
        Field::ListInternal(list) => Value::List(list.elements().iter().map(convert).collect()),
        Field::MapInternal(map) => Value::Struct(
            map.entries()
                .iter()
                .map(|(key, value)| (key_text(key), convert(value)))
                .collect(),
        ),
        Field::Decimal(_)
        | Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_) => Value::Text(field.to_string()),
    }
}

/// The shortest decimal that is this half: 0.1 and not 0.0999755859375.
fn shortest_half(value: half::f16) -> f64 {
    let exact = f64::from(value);
    (0..5)
        .filter_map(|digits| format!("{exact:.digits$e}").parse::<f64>().ok())
        .find(|&short| half::f16::from_f64(short) == value)
        .unwrap_or(exact)
}

fn key_text(key: &Field) -> String {
    match key {
        Field::Str(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_the_cache_changes_no_row() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/verl.parquet");
        let rows = |budget: usize| {
            let rows = open(&path, 0, Arc::new(Cache::new(budget))).unwrap();
            assert_eq!(rows.starts, [0, 3, 6, 7]);
            let all: Vec<Row> = [6, 0, 3, 5, 1, 2, 4, 0]
                .map(|i| rows.row(i).unwrap())
                .into();
            let kept = rows.cache.groups.lock().unwrap().len();
            (all, kept)
        };
        let (small, large) = (rows(0), rows(usize::MAX));
        assert_eq!(small.0, large.0);
        assert_eq!((small.1, large.1), (1, 3));
    }
}
