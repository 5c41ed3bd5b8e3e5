//! Tables as Parquet: what analyses leave for pandas and `datasets`.

use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::Result as ParquetResult;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::columns::{GroupWriter, write_error};
use percept_base::files::AtomicFile;

use crate::Error;

/// A column: one value, or one list, for each row.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Text.
    Text(Vec<String>),
    /// 64-bit integers.
    Int(Vec<i64>),
    /// Numbers; none and NaN are null.
    Number(Vec<Option<f64>>),
    /// Lists of numbers.
    Floats(Vec<Vec<f32>>),
    /// Lists of token ids.
    Ids(Vec<Vec<u32>>),
    /// Lists of texts.
    Texts(Vec<Vec<String>>),
    /// Lists of truth values.
    Flags(Vec<Vec<bool>>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Column::Text(rows) => rows.len(),
            Column::Int(rows) => rows.len(),
            Column::Number(rows) => rows.len(),
            Column::Floats(rows) => rows.len(),
            Column::Ids(rows) => rows.len(),
            Column::Texts(rows) => rows.len(),
            Column::Flags(rows) => rows.len(),
        }
    }

    fn schema(&self, name: &str) -> String {
        let list = |element: &str| {
            format!(
                "required group {name} (LIST) {{ repeated group list {{ required {element}; }} }}"
            )
        };
        match self {
            Column::Text(_) => format!("required binary {name} (UTF8);"),
            Column::Int(_) => format!("required int64 {name};"),
            Column::Number(_) => format!("optional double {name};"),
            Column::Floats(_) => list("float element"),
            Column::Ids(_) => list("int32 element (INTEGER(32,false))"),
            Column::Texts(_) => list("binary element (UTF8)"),
            Column::Flags(_) => list("boolean element"),
        }
    }

    fn write<W: std::io::Write + Send>(&self, group: &mut GroupWriter<'_, W>) -> ParquetResult<()> {
        match self {
            Column::Text(rows) => {
                group.required::<ByteArrayType>(rows.iter().map(|s| text(s)).collect())
            }
            Column::Int(rows) => group.required::<Int64Type>(rows.clone()),
            Column::Number(rows) => group
                .optional::<DoubleType>(rows.iter().map(|v| v.filter(|v| !v.is_nan())).collect()),
            Column::Floats(rows) => group.list::<FloatType>(lists(rows, |v| *v), false, false),
            Column::Ids(rows) => group.list::<Int32Type>(lists(rows, |v| *v as i32), false, false),
            Column::Texts(rows) => {
                group.list::<ByteArrayType>(lists(rows, |s| text(s)), false, false)
            }
            Column::Flags(rows) => group.list::<BoolType>(lists(rows, |v| *v), false, false),
        }
    }
}

fn text(text: &str) -> ByteArray {
    ByteArray::from(text.as_bytes().to_vec())
}

fn lists<T, U>(rows: &[Vec<T>], to: impl Fn(&T) -> U) -> Vec<Option<Vec<Option<U>>>> {
    let cell = |row: &Vec<T>| Some(row.iter().map(|value| Some(to(value))).collect());
    rows.iter().map(cell).collect()
}

/// Writes a table, atomically, as Parquet with zstd. Names are those of pandas columns: letters,
/// digits and `_`.
///
/// # Errors
/// When columns differ in length, a name is none, or the disk refuses.
pub fn write_table(path: &Path, columns: &[(&str, Column)]) -> Result<(), Error> {
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if let Some((name, column)) = columns
        .iter()
        .find(|(name, column)| column.len() != rows || !plain(name))
    {
        return Err(Error::Invalid {
            path: path.to_path_buf(),
            row: None,
            what: format!("column {name} has {} rows of {rows}", column.len()),
            help: "this is a fault of the program that made the table; please report it",
        });
    }
    let fields: Vec<String> = columns.iter().map(|(name, c)| c.schema(name)).collect();
    let schema = format!("message table {{ {} }}", fields.join("\n"));
    let write = |file: AtomicFile| -> ParquetResult<AtomicFile> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .build();
        let schema = Arc::new(parse_message_type(&schema)?);
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        {
            let mut group = GroupWriter(writer.next_row_group()?);
            for (_, column) in columns {
                column.write(&mut group)?;
            }
            group.0.close()?;
        }
        writer.into_inner()
    };
    match write(AtomicFile::create(path)?) {
        Ok(file) => Ok(file.commit()?),
        Err(error) => Err(write_error(path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    #[test]
    fn a_table_reads_back_row_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        write_table(
            &path,
            &[
                ("name", Column::Text(vec!["a".into(), "b".into()])),
                ("score", Column::Number(vec![Some(0.5), Some(f64::NAN)])),
                ("delta", Column::Floats(vec![vec![1.0, 2.5], vec![]])),
                ("fired", Column::Flags(vec![vec![true], vec![]])),
            ],
        )
        .unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let rows: Vec<String> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().to_string())
            .collect();
        assert_eq!(
            rows,
            [
                "{name: \"a\", score: 0.5, delta: [1.0, 2.5], fired: [true]}",
                "{name: \"b\", score: null, delta: [], fired: []}"
            ]
        );
    }

    #[test]
    fn columns_of_different_length_are_refused() {
        let columns = [("a", Column::Int(vec![1, 2])), ("b", Column::Int(vec![1]))];
        let refused = write_table(Path::new("/nowhere/t.parquet"), &columns).unwrap_err();
        assert!(refused.to_string().contains("column b"));
    }
}
