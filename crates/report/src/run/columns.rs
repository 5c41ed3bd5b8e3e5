//! Parquet columns without Arrow: scalars and lists to and from definition and repetition levels
//! (Dremel encoding; <https://parquet.apache.org/docs/file-format/nestedencoding/>).

use std::io::Write;
use std::path::Path;

use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::RowGroupReader;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::{SchemaDescriptor, Type};

use crate::Error;

/// Values of one list column in one row: `None` is a null list, an inner `None` a null element.
pub(crate) type ListCell<T> = Option<Vec<Option<T>>>;

/// Writes the columns of one row group, in the order of the schema.
pub(crate) struct GroupWriter<'a, W: Write>(pub SerializedRowGroupWriter<'a, W>);

impl<W: Write + Send> GroupWriter<'_, W> {
    pub(crate) fn required<D: DataType>(&mut self, values: Vec<D::T>) -> Result<()> {
        self.put::<D>(&values, None, None)
    }

    pub(crate) fn optional<D: DataType>(&mut self, cells: Vec<Option<D::T>>) -> Result<()> {
        let def: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
        let values: Vec<D::T> = cells.into_iter().flatten().collect();
        self.put::<D>(&values, Some(&def), None)
    }

    /// `null_list` and `null_element` say what the schema allows to be null.
    pub(crate) fn list<D: DataType>(
        &mut self,
        cells: Vec<ListCell<D::T>>,
        null_list: bool,
        null_element: bool,
    ) -> Result<()> {
        let empty = i16::from(null_list);
        let slot = empty + 1;
        let (mut def, mut rep, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for cell in cells {
            let (elements, without) = match cell {
                Some(elements) => (elements, empty),
                None => (Vec::new(), 0),
            };
            if elements.is_empty() {
                def.push(without);
                rep.push(0);
            }
            for (i, element) in elements.into_iter().enumerate() {
                def.push(slot + i16::from(null_element && element.is_some()));
                rep.push(i16::from(i > 0));
                values.extend(element);
            }
        }
        self.put::<D>(&values, Some(&def), Some(&rep))
    }

    fn put<D: DataType>(
        &mut self,
        values: &[D::T],
        def: Option<&[i16]>,
        rep: Option<&[i16]>,
    ) -> Result<()> {
        let missing = || ParquetError::General("more columns than the schema has".into());
        let mut column = self.0.next_column()?.ok_or_else(missing)?;
        column.typed::<D>().write_batch(values, def, rep)?;
        column.close()
    }
}

/// Reads columns of one row group by name. Columns may be required or optional, so that a file
/// that pandas wrote again reads the same.
pub(crate) struct GroupReader<'a> {
    pub group: Box<dyn RowGroupReader + 'a>,
    pub schema: &'a SchemaDescriptor,
}

struct Leaf<T> {
    values: Vec<T>,
    def: Vec<i16>,
    rep: Vec<i16>,
    /// Definition level of a value.
    full: i16,
    /// Definition level from which on a list has a slot for an element (0: not a list).
    slot: i16,
}

impl GroupReader<'_> {
    pub(crate) fn rows(&self) -> usize {
        usize::try_from(self.group.metadata().num_rows()).unwrap_or(0)
    }

    /// Refuses what is too large to be read, before anything is.
    pub(crate) fn check(&self, rows: usize, values: i64) -> Result<()> {
        let general = |what| Err(ParquetError::General(what));
        if self.rows() > rows {
            let found = self.rows();
            return general(format!(
                "a row group of {found} rows; expected {rows} or fewer"
            ));
        }
        for column in self.group.metadata().columns() {
            let (found, name) = (column.num_values(), column.column_path());
            if found > values {
                return general(format!(
                    "a row group with {found} values of {name}; expected {values} or fewer"
                ));
            }
        }
        Ok(())
    }

    /// One cell per row; `None` when the file has no such column.
    pub(crate) fn scalar<D: DataType>(&self, path: &str) -> Result<Option<Vec<Option<D::T>>>> {
        let Some(leaf) = self.leaf::<D>(path)? else {
            return Ok(None);
        };
        if leaf.slot > 0 {
            return Err(ParquetError::General(format!("column {path} is a list")));
        }
        if leaf.full == 0 {
            return Ok(Some(leaf.values.into_iter().map(Some).collect()));
        }
        let mut values = leaf.values.into_iter();
        let cells = leaf
            .def
            .iter()
            .map(|&d| if d == leaf.full { values.next() } else { None });
        Ok(Some(cells.collect()))
    }

    /// One list per row; `None` when the file has no such column.
    pub(crate) fn list<D: DataType>(&self, path: &str) -> Result<Option<Vec<ListCell<D::T>>>> {
        let Some(leaf) = self.leaf::<D>(path)? else {
            return Ok(None);
        };
        if leaf.slot == 0 {
            return Err(ParquetError::General(format!(
                "column {path} is not a list"
            )));
        }
        let mut values = leaf.values.into_iter();
        let mut rows: Vec<ListCell<D::T>> = Vec::new();
        for (&def, &rep) in leaf.def.iter().zip(&leaf.rep) {
            if rep == 0 {
                rows.push((def >= leaf.slot - 1).then(Vec::new));
            }
            if def >= leaf.slot
                && let Some(Some(row)) = rows.last_mut()
            {
                row.push(if def == leaf.full {
                    values.next()
                } else {
                    None
                });
            }
        }
        Ok(Some(rows))
    }

    fn leaf<D: DataType>(&self, path: &str) -> Result<Option<Leaf<D::T>>> {
        let found =
            (0..self.schema.num_columns()).find(|&i| self.schema.column(i).path().string() == path);
        let Some(index) = found else {
            return Ok(None);
        };
        let column = self.schema.column(index);
        if column.physical_type() != D::get_physical_type() {
            return Err(ParquetError::General(format!(
                "column {path} is {} and not {}",
                column.physical_type(),
                D::get_physical_type()
            )));
        }
        let full = column.max_def_level();
        let slot = slot_level(self.schema.root_schema(), column.path().parts());
        if slot > 0 && column.max_rep_level() != 1 {
            return Err(ParquetError::General(format!(
                "column {path} is a list of lists"
            )));
        }
        let mut reader = get_typed_column_reader::<D>(self.group.get_column_reader(index)?);
        let (mut values, mut def, mut rep) = (Vec::new(), Vec::new(), Vec::new());
        reader.read_records(self.rows(), Some(&mut def), Some(&mut rep), &mut values)?;
        Ok(Some(Leaf {
            values,
            def,
            rep,
            full,
            slot,
        }))
    }
}

/// Definition level of an element slot: optional and repeated nodes down to the repeated one.
fn slot_level(root: &Type, path: &[String]) -> i16 {
    let mut level = 0;
    let mut node = root;
    for name in path {
        let Some(child) = node.get_fields().iter().find(|child| child.name() == name) else {
            return 0;
        };
        let info = child.get_basic_info();
        if info.has_repetition() && info.repetition() == parquet::basic::Repetition::REPEATED {
            return level + 1;
        }
        level += i16::from(child.is_optional());
        if !child.is_group() {
            return 0;
        }
        node = child;
    }
    0
}

/// What went wrong with writing a Parquet file: the disk, as a rule.
pub(crate) fn write_error(path: &Path, error: ParquetError) -> Error {
    let source = match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(source) => *source,
            Err(other) => std::io::Error::other(other),
        },
        other => std::io::Error::other(other),
    };
    Error::io("write", path)(source)
}
