//! Rows as Parquet, as pandas and `datasets` read them: `boxes` is a list of `{label, box}`.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::export::rows::AnnotatedRow;

const ROWS_PER_GROUP: usize = 4_096;

const SCHEMA: &str = "
message frames {
  required group images (LIST) { repeated group list { required binary element (UTF8); } }
  required binary prompt (UTF8);
  required group labels (LIST) { repeated group list { required binary element (UTF8); } }
  required group boxes (LIST) { repeated group list { required group element {
    required binary label (UTF8);
    required group box (LIST) { repeated group list { required double element; } }
  } } }
  required binary pair_id (UTF8);
  required binary side (UTF8);
  required binary preference (UTF8);
  required double time_s;
  required binary video (UTF8);
  required binary annotator (UTF8);
  required binary status (UTF8);
}";

/// Values with the levels of Dremel's encoding: how many of the enclosing lists hold something, and in which of them a value
/// is a further element.
struct Leaves<T> {
    values: Vec<T>,
    def: Vec<i16>,
    rep: Vec<i16>,
}

impl<T> Leaves<T> {
    fn new() -> Self {
        Self {
            values: Vec::new(),
            def: Vec::new(),
            rep: Vec::new(),
        }
    }

    /// A row's list of lists; one of lists alone has one value in each.
    fn row(&mut self, depth: i16, lists: impl Iterator<Item = Vec<T>>) {
        let mut empty = true;
        for (outer, list) in lists.enumerate() {
            for (inner, value) in list.into_iter().enumerate() {
                empty = false;
                self.values.push(value);
                self.def.push(depth);
                self.rep.push(match (outer, inner) {
                    (0, 0) => 0,
                    (_, 0) => 1,
                    _ => 2,
                });
            }
        }
        if empty {
            self.def.push(0);
            self.rep.push(0);
        }
    }
}

pub(super) fn write<W: Write + Send>(to: W, rows: &[AnnotatedRow]) -> Result<W> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .build();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut writer = SerializedFileWriter::new(to, schema, Arc::new(properties))?;
    for rows in rows.chunks(ROWS_PER_GROUP) {
        let mut group = writer.next_row_group()?;
        write_group(&mut group, rows)?;
        group.close()?;
    }
    writer.into_inner()
}

/// Columns in the order of [`SCHEMA`].
fn write_group<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    rows: &[AnnotatedRow],
) -> Result<()> {
    let texts = |of: &dyn Fn(&AnnotatedRow) -> &str| -> Leaves<ByteArray> {
        let mut leaves = Leaves::new();
        leaves.values.extend(rows.iter().map(|row| text(of(row))));
        leaves
    };
    let lists = |of: &dyn Fn(&AnnotatedRow) -> Vec<ByteArray>| -> Leaves<ByteArray> {
        let mut leaves = Leaves::new();
        for row in rows {
            leaves.row(1, of(row).into_iter().map(|value| vec![value]));
        }
        leaves
    };
    let images = |row: &AnnotatedRow| row.frame.images.iter().map(|s| text(s)).collect();
    put::<_, ByteArrayType>(group, &lists(&images))?;
    put::<_, ByteArrayType>(group, &texts(&|row| &row.frame.prompt))?;
    let labels = |row: &AnnotatedRow| row.frame.labels.iter().map(|l| text(l.name())).collect();
    put::<_, ByteArrayType>(group, &lists(&labels))?;
    let boxed = |row: &AnnotatedRow| {
        let boxes = row.frame.boxes.iter();
        boxes.map(|b| text(b.label.name())).collect()
    };
    put::<_, ByteArrayType>(group, &lists(&boxed))?;
    let mut corners = Leaves::new();
    for row in rows {
        corners.row(2, row.frame.boxes.iter().map(|b| b.corners.to_vec()));
    }
    put::<_, DoubleType>(group, &corners)?;
    put::<_, ByteArrayType>(group, &texts(&|row| &row.frame.pair_id))?;
    put::<_, ByteArrayType>(group, &texts(&|row| &row.frame.side))?;
    put::<_, ByteArrayType>(group, &texts(&|row| row.frame.preference.name()))?;
    let mut times = Leaves::new();
    times.values.extend(rows.iter().map(|row| row.frame.time_s));
    put::<_, DoubleType>(group, &times)?;
    put::<_, ByteArrayType>(group, &texts(&|row| &row.frame.video))?;
    put::<_, ByteArrayType>(group, &texts(&|row| &row.annotator))?;
    put::<_, ByteArrayType>(group, &texts(&|row| row.status))
}

/// Columns that are no lists have no levels.
fn put<W: Write + Send, D: DataType>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    leaves: &Leaves<D::T>,
) -> Result<()> {
    let missing = || ParquetError::General("more columns than the schema has".into());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    let (def, rep) = match leaves.def.is_empty() {
        true => (None, None),
        false => (Some(&leaves.def[..]), Some(&leaves.rep[..])),
    };
    column.typed::<D>().write_batch(&leaves.values, def, rep)?;
    column.close()
}

fn text(text: &str) -> ByteArray {
    ByteArray::from(text.as_bytes().to_vec())
}
