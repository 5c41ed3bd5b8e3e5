//! Files of a run that are read row group by row group: what rollouts and pairs share.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::Error;
use crate::run::columns::GroupReader;

/// Rows of a row group that is read, if another program wrote the file anew; a footer can promise any number.
const MAX_ROWS: usize = 1 << 20;

/// Values of a column of a row group: 128 answers of half a million tokens. A column of equal values has some bytes.
const MAX_VALUES: i64 = 1 << 26;

/// Properties of a file that is written, with a mark of its format.
pub(crate) fn properties(mark: &str) -> ParquetResult<WriterProperties> {
    let mark = KeyValue::new(mark.into(), "1".to_string());
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_statistics_enabled(EnabledStatistics::None)
        // Large enough that the images of a row group stay in its dictionary.
        .set_dictionary_page_size_limit(64 << 20)
        .set_key_value_metadata(Some(vec![mark]))
        .build())
}

/// The Parquet reader panics on some damaged files; a damaged file is an error like any other. `what` the file
/// holds stands in errors.
pub(crate) fn open(path: &Path, what: &str) -> Result<SerializedFileReader<File>, Error> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    percept_parquet::open(file).map_err(|reason| damaged(path, what, &reason))
}

pub(crate) fn guarded<T>(
    path: &Path,
    what: &str,
    read: impl FnOnce() -> ParquetResult<T>,
) -> Result<T, Error> {
    percept_parquet::guarded(read).map_err(|reason| damaged(path, what, &reason))
}

fn damaged(path: &Path, what: &str, reason: &str) -> Error {
    Error::Invalid {
        path: path.to_path_buf(),
        row: None,
        what: format!("not a file of {what}, or a damaged one ({reason})"),
        help: "remove the file; the rest of the run does not depend on it",
    }
}

/// `limit` rows from `offset` on; only the row groups that hold them are decoded.
pub(crate) fn read_groups<T>(
    reader: &SerializedFileReader<File>,
    offset: usize,
    limit: usize,
    mut read: impl FnMut(&GroupReader<'_>) -> ParquetResult<Vec<T>>,
) -> ParquetResult<Vec<T>> {
    let end = offset.saturating_add(limit);
    let (mut start, mut found) = (0, Vec::new());
    for index in 0..reader.num_row_groups() {
        let group = GroupReader {
            group: reader.get_row_group(index)?,
            schema: reader.metadata().file_metadata().schema_descr(),
        };
        let rows = group.rows();
        if start + rows > offset && start < end {
            let skip = offset.saturating_sub(start);
            let take = end.saturating_sub(start.max(offset));
            found.extend(read(&group)?.into_iter().skip(skip).take(take));
        }
        start += rows;
    }
    Ok(found)
}

/// A column that every row has, the first one that is read of a row group.
pub(crate) fn required<D: DataType>(
    group: &GroupReader<'_>,
    name: &str,
) -> ParquetResult<Vec<D::T>> {
    group.check(MAX_ROWS, MAX_VALUES)?;
    let missing = || ParquetError::General(format!("column {name} is missing or has nulls"));
    let cells = group.scalar::<D>(name)?.ok_or_else(missing)?;
    if cells.len() != group.rows() {
        return Err(ParquetError::General(format!(
            "{} rows where the footer says {}",
            cells.len(),
            group.rows()
        )));
    }
    cells
        .into_iter()
        .map(|cell| cell.ok_or_else(missing))
        .collect()
}

/// Puts the cells of a column, where the file has it and they are not null, into the rows.
pub(crate) fn set<R, T>(
    rows: &mut [R],
    cells: Option<Vec<Option<T>>>,
    mut put: impl FnMut(&mut R, T),
) {
    for (row, cell) in rows.iter_mut().zip(cells.into_iter().flatten()) {
        if let Some(value) = cell {
            put(row, value);
        }
    }
}

pub(crate) fn string(bytes: &ByteArray) -> String {
    String::from_utf8_lossy(bytes.data()).into_owned()
}

/// An image that was read before is held once.
pub(crate) fn shared(images: &mut HashSet<Arc<[u8]>>, bytes: &[u8]) -> Arc<[u8]> {
    if let Some(image) = images.get(bytes) {
        return image.clone();
    }
    let image: Arc<[u8]> = bytes.into();
    images.insert(image.clone());
    image
}

/// A value of each row.
pub(crate) fn each<'a, R, T>(rows: &'a [R], f: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(f).collect()
}

pub(crate) fn text(text: &str) -> ByteArray {
    ByteArray::from(text)
}
