//! Rollouts as Parquet: what the model was asked, what it said, token by token, and what it got
//! for it.
//!
//! | column | type |
//! |---|---|
//! | `step`, `weight_version` | int64 |
//! | `prompt_id`, `prompt`, `completion`, `finish_reason` | string |
//! | `sample` | int32, index within the group of one prompt |
//! | `is_expert` | boolean: an expert's trajectory that entered the group, not sampled by the policy |
//! | `question_type`, `answer` | string or null |
//! | `reward`, `advantage` | double or null (ungraded) |
//! | `reward_parts` | list of {name, value or null, reason or null} |
//! | `tokens` | list of uint32 |
//! | `token_text` | list of string |
//! | `log_probs`, `entropy`, `token_advantages`, `weights` | list of float, or null where not measured |
//! | `nucleus_entropy`, `log_prob_no_image`, `token_set` | list of float, or null where no method asks for them; `token_set`: 0 neither, 1 perception, 2 reasoning, 3 both |
//! | `images` | list of encoded images (PNG, JPEG, …) |
//!
//! Row groups of 128 rows, zstd; an image that the rollouts of a group share is stored once per
//! row group (dictionary encoding).

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::columns::{GroupReader, GroupWriter, ListCell};
use crate::record::{RewardPart, RolloutRecord};
use crate::{AtomicFile, Error};

const ROWS_PER_GROUP: usize = 128;

/// Rows of a row group that is read, if another program wrote the file anew; a footer can promise any number.
const MAX_ROWS: usize = 1 << 20;

/// Values of a column of a row group: 128 answers of half a million tokens. A column of equal values has some bytes.
const MAX_VALUES: i64 = 1 << 26;

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
        Ok(file) => file.commit(),
        Err(error) => Err(write_error(path, error)),
    }
}

/// Reads all rollouts of a file. Columns that are missing or null read as empty.
pub fn read_rollouts(path: &Path) -> Result<Vec<RolloutRecord>, Error> {
    read_rollouts_page(path, 0, usize::MAX)
}

/// Reads `limit` rollouts from row `offset` on; only the row groups that hold them are decoded.
pub fn read_rollouts_page(
    path: &Path,
    offset: usize,
    limit: usize,
) -> Result<Vec<RolloutRecord>, Error> {
    let reader = open(path)?;
    guarded(path, || read_page(&reader, offset, limit))
}

/// Number of rollouts in a file; reads its footer only.
pub fn count_rollouts(path: &Path) -> Result<usize, Error> {
    let rows = open(path)?.metadata().file_metadata().num_rows();
    Ok(usize::try_from(rows).unwrap_or(0))
}

fn write_file(file: AtomicFile, rollouts: &[RolloutRecord]) -> ParquetResult<AtomicFile> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_statistics_enabled(EnabledStatistics::None)
        // Large enough that the images of a row group stay in its dictionary.
        .set_dictionary_page_size_limit(64 << 20)
        .set_key_value_metadata(Some(vec![KeyValue::new(
            "percept.rollouts".into(),
            "1".to_string(),
        )]))
        .build();
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

fn each<T>(rows: &[RolloutRecord], f: impl Fn(&RolloutRecord) -> T) -> Vec<T> {
    rows.iter().map(f).collect()
}

fn text(text: &str) -> ByteArray {
    ByteArray::from(text)
}

fn read_page(
    reader: &SerializedFileReader<File>,
    offset: usize,
    limit: usize,
) -> ParquetResult<Vec<RolloutRecord>> {
    let end = offset.saturating_add(limit);
    let mut images = HashSet::new();
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
            found.extend(
                read_group(&group, &mut images)?
                    .into_iter()
                    .skip(skip)
                    .take(take),
            );
        }
        start += rows;
    }
    Ok(found)
}

fn read_group(
    group: &GroupReader<'_>,
    images: &mut HashSet<Arc<[u8]>>,
) -> ParquetResult<Vec<RolloutRecord>> {
    group.check(MAX_ROWS, MAX_VALUES)?;
    let missing = |name| ParquetError::General(format!("column {name} is missing or has nulls"));
    let steps = group
        .scalar::<Int64Type>("step")?
        .ok_or_else(|| missing("step"))?;
    if steps.len() != group.rows() {
        return Err(ParquetError::General(format!(
            "{} rows where the footer says {}",
            steps.len(),
            group.rows()
        )));
    }
    let mut rows = vec![RolloutRecord::default(); steps.len()];
    for (row, step) in rows.iter_mut().zip(steps) {
        row.step = step.ok_or_else(|| missing("step"))? as u64;
    }
    let numbers = group.scalar::<Int64Type>("weight_version")?;
    set(&mut rows, numbers, |row, v| row.weight_version = v as u64);
    set(&mut rows, group.scalar::<Int32Type>("sample")?, |row, v| {
        row.sample = v as u32
    });
    set(
        &mut rows,
        group.scalar::<BoolType>("is_expert")?,
        |row, v| row.is_expert = v,
    );
    set(
        &mut rows,
        group.scalar::<DoubleType>("reward")?,
        |row, v| row.reward = Some(v),
    );
    set(
        &mut rows,
        group.scalar::<DoubleType>("advantage")?,
        |row, v| row.advantage = Some(v),
    );
    type SetText = fn(&mut RolloutRecord, String);
    let texts: [(&str, SetText); 6] = [
        ("prompt_id", |row, v| row.prompt_id = v),
        ("question_type", |row, v| row.question_type = Some(v)),
        ("answer", |row, v| row.answer = Some(v)),
        ("prompt", |row, v| row.prompt = v),
        ("completion", |row, v| row.completion = v),
        ("finish_reason", |row, v| row.finish_reason = v),
    ];
    for (name, put) in texts {
        set(&mut rows, group.scalar::<ByteArrayType>(name)?, |row, v| {
            put(row, string(&v))
        });
    }
    read_parts(group, &mut rows)?;

    set(
        &mut rows,
        group.list::<Int32Type>("tokens.list.element")?,
        |row, list| {
            row.tokens = list.into_iter().map(|t| t.unwrap_or(0) as u32).collect();
        },
    );
    set(
        &mut rows,
        group.list::<ByteArrayType>("token_text.list.element")?,
        |row, list| {
            row.token_text = list
                .iter()
                .map(|t| t.as_ref().map(string).unwrap_or_default())
                .collect();
        },
    );
    type SetFloats = fn(&mut RolloutRecord, Vec<f32>);
    let floats: [(&str, SetFloats); 7] = [
        ("log_probs", |row, v| row.log_probs = v),
        ("entropy", |row, v| row.entropy = v),
        ("token_advantages", |row, v| row.token_advantages = v),
        ("weights", |row, v| row.weights = Some(v)),
        ("nucleus_entropy", |row, v| row.nucleus_entropy = Some(v)),
        ("log_prob_no_image", |row, v| {
            row.log_prob_no_image = Some(v)
        }),
        ("token_set", |row, v| row.token_set = Some(v)),
    ];
    for (name, put) in floats {
        set(
            &mut rows,
            group.list::<FloatType>(&format!("{name}.list.element"))?,
            |row, list| {
                put(
                    row,
                    list.into_iter().map(|v| v.unwrap_or(f32::NAN)).collect(),
                );
            },
        );
    }
    set(
        &mut rows,
        group.list::<ByteArrayType>("images.list.element")?,
        |row, list| {
            row.images = list
                .iter()
                .flatten()
                .map(|image| shared(images, image.data()))
                .collect();
        },
    );
    Ok(rows)
}

fn read_parts(group: &GroupReader<'_>, rows: &mut [RolloutRecord]) -> ParquetResult<()> {
    set(
        rows,
        group.list::<ByteArrayType>("reward_parts.list.element.name")?,
        |row, names| {
            let part = |name: &Option<ByteArray>| RewardPart {
                name: name.as_ref().map(string).unwrap_or_default(),
                ..RewardPart::default()
            };
            row.reward_parts = names.iter().map(part).collect();
        },
    );
    set(
        rows,
        group.list::<DoubleType>("reward_parts.list.element.value")?,
        |row, values| {
            for (part, value) in row.reward_parts.iter_mut().zip(values) {
                part.value = value;
            }
        },
    );
    set(
        rows,
        group.list::<ByteArrayType>("reward_parts.list.element.reason")?,
        |row, reasons| {
            for (part, reason) in row.reward_parts.iter_mut().zip(reasons) {
                part.reason = reason.as_ref().map(string);
            }
        },
    );
    Ok(())
}

/// Puts the cells of a column, where the file has it and they are not null, into the rows.
fn set<T>(
    rows: &mut [RolloutRecord],
    cells: Option<Vec<Option<T>>>,
    mut put: impl FnMut(&mut RolloutRecord, T),
) {
    for (row, cell) in rows.iter_mut().zip(cells.into_iter().flatten()) {
        if let Some(value) = cell {
            put(row, value);
        }
    }
}

fn string(bytes: &ByteArray) -> String {
    String::from_utf8_lossy(bytes.data()).into_owned()
}

fn shared(images: &mut HashSet<Arc<[u8]>>, bytes: &[u8]) -> Arc<[u8]> {
    if let Some(image) = images.get(bytes) {
        return image.clone();
    }
    let image: Arc<[u8]> = bytes.into();
    images.insert(image.clone());
    image
}

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

/// The Parquet reader panics on some damaged files; a damaged file is an error like any other.
fn open(path: &Path) -> Result<SerializedFileReader<File>, Error> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    percept_parquet::open(file).map_err(|reason| damaged(path, &reason))
}

fn guarded<T>(path: &Path, read: impl FnOnce() -> ParquetResult<T>) -> Result<T, Error> {
    percept_parquet::guarded(read).map_err(|reason| damaged(path, &reason))
}

fn damaged(path: &Path, reason: &str) -> Error {
    Error::Invalid {
        path: path.to_path_buf(),
        row: None,
        what: format!("not a file of rollouts, or a damaged one ({reason})"),
        help: "remove the file; the rest of the run does not depend on it",
    }
}
