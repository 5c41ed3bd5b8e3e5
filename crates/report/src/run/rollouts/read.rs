//! Reading a file of rollouts.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type,
};
use parquet::errors::Result as ParquetResult;
use parquet::file::reader::FileReader;

use crate::Error;
use crate::run::columns::GroupReader;
use crate::run::group_files::{guarded, open, read_groups, required, set, shared, string};
use crate::run::record::{RewardPart, RolloutRecord};

/// What a file of this kind is, in errors.
const WHAT: &str = "rollouts";

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
    let reader = open(path, WHAT)?;
    guarded(path, WHAT, || {
        let mut images = HashSet::new();
        read_groups(&reader, offset, limit, |group| {
            read_group(group, &mut images)
        })
    })
}

/// Number of rollouts in a file; reads its footer only.
pub fn count_rollouts(path: &Path) -> Result<usize, Error> {
    let rows = open(path, WHAT)?.metadata().file_metadata().num_rows();
    Ok(usize::try_from(rows).unwrap_or(0))
}

fn read_group(
    group: &GroupReader<'_>,
    images: &mut HashSet<Arc<[u8]>>,
) -> ParquetResult<Vec<RolloutRecord>> {
    let steps = required::<Int64Type>(group, "step")?;
    let mut rows = vec![RolloutRecord::default(); steps.len()];
    for (row, step) in rows.iter_mut().zip(steps) {
        row.step = step as u64;
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
