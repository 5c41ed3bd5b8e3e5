//! Writing a file of rollouts.

use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::Result as ParquetResult;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::run::columns::{GroupWriter, ListCell, write_error};
use crate::run::group_files::{each, properties, text};
use crate::run::record::{RewardPart, RolloutRecord};
use percept_base::files::AtomicFile;

use crate::Error;

const ROWS_PER_GROUP: usize = 128;

const SCHEMA: &str = "
message rollouts {
  required int64 step;
  required int64 weight_version;
  required binary prompt_id (UTF8);
  required int32 sample;
  required boolean is_expert;
  optional binary question_type (UTF8);
  optional binary answer (UTF8);
  required binary prompt (UTF8);
  required binary completion (UTF8);
  required binary finish_reason (UTF8);
  optional double reward;
  optional double advantage;
  required group reward_parts (LIST) { repeated group list { required group element {
    required binary name (UTF8);
    optional double value;
    optional binary reason (UTF8);
  } } }
  required group tokens (LIST) { repeated group list { required int32 element (INTEGER(32,false)); } }
  required group token_text (LIST) { repeated group list { required binary element (UTF8); } }
  optional group log_probs (LIST) { repeated group list { required float element; } }
  optional group entropy (LIST) { repeated group list { required float element; } }
  optional group token_advantages (LIST) { repeated group list { required float element; } }
  optional group weights (LIST) { repeated group list { required float element; } }
  optional group nucleus_entropy (LIST) { repeated group list { required float element; } }
  optional group log_prob_no_image (LIST) { repeated group list { required float element; } }
  optional group token_set (LIST) { repeated group list { required float element; } }
  required group images (LIST) { repeated group list { required binary element; } }
}";

/// Writes a whole file of rollouts, atomically.
///
/// # Errors
/// When a per-token list is neither empty nor as long as `tokens`, or the disk refuses.
pub fn write_rollouts(path: &Path, rollouts: &[RolloutRecord]) -> Result<(), Error> {
    for (i, rollout) in rollouts.iter().enumerate() {
        rollout.check().map_err(|what| Error::Invalid {
            path: path.to_path_buf(),
            row: Some(i + 1),
            what,
            help: "this is a fault of the program that made the rollouts; please report it",
        })?;
    }
    let file = AtomicFile::create(path)?;
    match write_file(file, rollouts) {
        Ok(file) => Ok(file.commit()?),
        Err(error) => Err(write_error(path, error)),
    }
}

fn write_file(file: AtomicFile, rollouts: &[RolloutRecord]) -> ParquetResult<AtomicFile> {
    let properties = properties("percept.rollouts")?;
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    for rows in rollouts.chunks(ROWS_PER_GROUP) {
        let mut group = GroupWriter(writer.next_row_group()?);
        write_group(&mut group, rows)?;
        group.0.close()?;
    }
    writer.into_inner()
}

/// Columns in the order of [`SCHEMA`].
fn write_group<W: std::io::Write + Send>(
    group: &mut GroupWriter<'_, W>,
    rows: &[RolloutRecord],
) -> ParquetResult<()> {
    group.required::<Int64Type>(each(rows, |r| r.step as i64))?;
    group.required::<Int64Type>(each(rows, |r| r.weight_version as i64))?;
    group.required::<ByteArrayType>(each(rows, |r| text(&r.prompt_id)))?;
    group.required::<Int32Type>(each(rows, |r| r.sample as i32))?;
    group.required::<BoolType>(each(rows, |r| r.is_expert))?;
    group.optional::<ByteArrayType>(each(rows, |r| r.question_type.as_deref().map(text)))?;
    group.optional::<ByteArrayType>(each(rows, |r| r.answer.as_deref().map(text)))?;
    group.required::<ByteArrayType>(each(rows, |r| text(&r.prompt)))?;
    group.required::<ByteArrayType>(each(rows, |r| text(&r.completion)))?;
    group.required::<ByteArrayType>(each(rows, |r| text(&r.finish_reason)))?;
    group.optional::<DoubleType>(each(rows, |r| r.reward))?;
    group.optional::<DoubleType>(each(rows, |r| r.advantage))?;

    let parts = |f: fn(&RewardPart) -> Option<ByteArray>| {
        each(rows, move |r| Some(r.reward_parts.iter().map(f).collect()))
    };
    group.list::<ByteArrayType>(parts(|part| Some(text(&part.name))), false, false)?;
    let values = each(rows, |r| {
        Some(r.reward_parts.iter().map(|part| part.value).collect())
    });
    group.list::<DoubleType>(values, false, true)?;
    group.list::<ByteArrayType>(parts(|part| part.reason.as_deref().map(text)), false, true)?;

    let tokens = each(rows, |r| {
        Some(r.tokens.iter().map(|&t| Some(t as i32)).collect())
    });
    group.list::<Int32Type>(tokens, false, false)?;
    let texts = each(rows, |r| {
        Some(r.token_text.iter().map(|t| Some(text(t))).collect())
    });
    group.list::<ByteArrayType>(texts, false, false)?;

    let measured = |list: &[f32], tokens: &[u32]| -> ListCell<f32> {
        (!list.is_empty() || tokens.is_empty()).then(|| list.iter().copied().map(Some).collect())
    };
    group.list::<FloatType>(
        each(rows, |r| measured(&r.log_probs, &r.tokens)),
        true,
        false,
    )?;
    group.list::<FloatType>(each(rows, |r| measured(&r.entropy, &r.tokens)), true, false)?;
    group.list::<FloatType>(
        each(rows, |r| measured(&r.token_advantages, &r.tokens)),
        true,
        false,
    )?;
    type Optional = fn(&RolloutRecord) -> &Option<Vec<f32>>;
    let optional: [Optional; 4] = [
        |r| &r.weights,
        |r| &r.nucleus_entropy,
        |r| &r.log_prob_no_image,
        |r| &r.token_set,
    ];
    for column in optional {
        let cells = each(rows, |r| {
            let list = column(r).as_ref();
            list.map(|list| list.iter().copied().map(Some).collect())
        });
        group.list::<FloatType>(cells, true, false)?;
    }
    let images = each(rows, |r| {
        Some(
            r.images
                .iter()
                .map(|image| Some(ByteArray::from(image.to_vec())))
                .collect(),
        )
    });
    group.list::<ByteArrayType>(images, false, false)
}
