//! Writing a file of pairs.

use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::Result as ParquetResult;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use percept_base::files::AtomicFile;

use crate::Error;
use crate::run::columns::{GroupWriter, ListCell, write_error};
use crate::run::group_files::{each, properties, text};
use crate::run::pair_record::{PairRecord, PairResponse};

const PAIRS_PER_GROUP: usize = 32;

const SCHEMA: &str = "
message pairs {
  required int64 step;
  required int32 pair;
  required binary id (UTF8);
  required binary prompt (UTF8);
  optional double loss;
  required binary kind (UTF8);
  required int32 number;
  required binary completion (UTF8);
  optional double reward;
  optional double margin;
  optional double weight;
  required group tokens (LIST) { repeated group list { required int32 element (INTEGER(32,false)); } }
  required group token_text (LIST) { repeated group list { required binary element (UTF8); } }
  optional group log_probs (LIST) { repeated group list { required float element; } }
  optional group ref_log_probs (LIST) { repeated group list { required float element; } }
  required group images (LIST) { repeated group list { required binary element; } }
}";

/// Writes a whole file of pairs, atomically.
///
/// # Errors
/// When a pair has no responses, a per-token list is neither empty nor as long as `tokens`, or the disk refuses.
pub fn write_pairs(path: &Path, pairs: &[PairRecord]) -> Result<(), Error> {
    for (i, pair) in pairs.iter().enumerate() {
        pair.check().map_err(|what| Error::Invalid {
            path: path.to_path_buf(),
            row: Some(i + 1),
            what,
            help: "this is a fault of the program that made the pairs; please report it",
        })?;
    }
    let file = AtomicFile::create(path)?;
    match write_file(file, pairs) {
        Ok(file) => Ok(file.commit()?),
        Err(error) => Err(write_error(path, error)),
    }
}

fn write_file(file: AtomicFile, pairs: &[PairRecord]) -> ParquetResult<AtomicFile> {
    let properties = properties("percept.pairs")?;
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    for pairs in pairs.chunks(PAIRS_PER_GROUP) {
        let rows = pairs.iter().flat_map(|pair| {
            let responses = pair.responses.iter();
            responses.map(move |response| (pair, response))
        });
        let rows: Vec<(&PairRecord, &PairResponse)> = rows.collect();
        let mut group = GroupWriter(writer.next_row_group()?);
        write_group(&mut group, &rows)?;
        group.0.close()?;
    }
    writer.into_inner()
}

/// Columns in the order of [`SCHEMA`].
fn write_group<W: std::io::Write + Send>(
    group: &mut GroupWriter<'_, W>,
    rows: &[(&PairRecord, &PairResponse)],
) -> ParquetResult<()> {
    group.required::<Int64Type>(each(rows, |(pair, _)| pair.step as i64))?;
    group.required::<Int32Type>(each(rows, |(pair, _)| pair.pair as i32))?;
    group.required::<ByteArrayType>(each(rows, |(pair, _)| text(&pair.id)))?;
    group.required::<ByteArrayType>(each(rows, |(pair, _)| text(&pair.prompt)))?;
    group.optional::<DoubleType>(each(rows, |(pair, _)| pair.loss))?;
    group.required::<ByteArrayType>(each(rows, |(_, r)| text(&r.kind)))?;
    group.required::<Int32Type>(each(rows, |(_, r)| r.number as i32))?;
    group.required::<ByteArrayType>(each(rows, |(_, r)| text(&r.completion)))?;
    group.optional::<DoubleType>(each(rows, |(_, r)| r.reward))?;
    group.optional::<DoubleType>(each(rows, |(_, r)| r.margin))?;
    group.optional::<DoubleType>(each(rows, |(_, r)| r.weight))?;
    let tokens = each(rows, |(_, r)| {
        Some(r.tokens.iter().map(|&t| Some(t as i32)).collect())
    });
    group.list::<Int32Type>(tokens, false, false)?;
    let texts = each(rows, |(_, r)| {
        Some(r.token_text.iter().map(|t| Some(text(t))).collect())
    });
    group.list::<ByteArrayType>(texts, false, false)?;
    let measured = |list: &[f32], tokens: &[u32]| -> ListCell<f32> {
        (!list.is_empty() || tokens.is_empty()).then(|| list.iter().copied().map(Some).collect())
    };
    let policy = each(rows, |(_, r)| measured(&r.log_probs, &r.tokens));
    group.list::<FloatType>(policy, true, false)?;
    let reference = each(rows, |(_, r)| measured(&r.ref_log_probs, &r.tokens));
    group.list::<FloatType>(reference, true, false)?;
    let images = each(rows, |(_, r)| {
        let images = r.images.iter();
        Some(
            images
                .map(|image| Some(ByteArray::from(image.to_vec())))
                .collect(),
        )
    });
    group.list::<ByteArrayType>(images, false, false)
}
