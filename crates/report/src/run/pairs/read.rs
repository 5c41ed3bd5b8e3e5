//! Reading a file of pairs.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::Result as ParquetResult;

use crate::Error;
use crate::run::columns::GroupReader;
use crate::run::group_files::{guarded, open, read_groups, required, set, shared, string};
use crate::run::pair_record::{PairRecord, PairResponse};

/// What a file of this kind is, in errors.
const WHAT: &str = "pairs";

/// One row: a response with what its pair says.
#[derive(Clone, Default)]
struct Row {
    pair: PairRecord,
    response: PairResponse,
}

/// Reads all pairs of a file: rows behind each other that have the same step and number are one. Columns that
/// are missing or null read as empty.
///
/// # Errors
/// For a file that cannot be read or is none of pairs.
pub fn read_pairs(path: &Path) -> Result<Vec<PairRecord>, Error> {
    let reader = open(path, WHAT)?;
    let rows = guarded(path, WHAT, || {
        let mut images = HashSet::new();
        read_groups(&reader, 0, usize::MAX, |group| {
            read_group(group, &mut images)
        })
    })?;
    let mut pairs: Vec<PairRecord> = Vec::new();
    for Row { pair, response } in rows {
        match pairs.last_mut() {
            Some(last) if (last.step, last.pair) == (pair.step, pair.pair) => {
                last.responses.push(response);
            }
            _ => pairs.push(PairRecord {
                responses: vec![response],
                ..pair
            }),
        }
    }
    Ok(pairs)
}

fn read_group(group: &GroupReader<'_>, images: &mut HashSet<Arc<[u8]>>) -> ParquetResult<Vec<Row>> {
    let steps = required::<Int64Type>(group, "step")?;
    let numbers = required::<Int32Type>(group, "pair")?;
    let mut rows = vec![Row::default(); steps.len()];
    for (row, (step, number)) in rows.iter_mut().zip(steps.into_iter().zip(numbers)) {
        row.pair.step = step as u64;
        row.pair.pair = number as u32;
    }
    let numbers = group.scalar::<Int32Type>("number")?;
    set(&mut rows, numbers, |row, v| row.response.number = v as u32);
    type SetText = fn(&mut Row, String);
    let texts: [(&str, SetText); 4] = [
        ("id", |row, v| row.pair.id = v),
        ("prompt", |row, v| row.pair.prompt = v),
        ("kind", |row, v| row.response.kind = v),
        ("completion", |row, v| row.response.completion = v),
    ];
    for (name, put) in texts {
        let cells = group.scalar::<ByteArrayType>(name)?;
        set(&mut rows, cells, |row, v| put(row, string(&v)));
    }
    type SetNumber = fn(&mut Row, f64);
    let numbers: [(&str, SetNumber); 4] = [
        ("loss", |row, v| row.pair.loss = Some(v)),
        ("reward", |row, v| row.response.reward = Some(v)),
        ("margin", |row, v| row.response.margin = Some(v)),
        ("weight", |row, v| row.response.weight = Some(v)),
    ];
    for (name, put) in numbers {
        set(&mut rows, group.scalar::<DoubleType>(name)?, put);
    }
    read_lists(group, &mut rows, images)?;
    Ok(rows)
}

fn read_lists(
    group: &GroupReader<'_>,
    rows: &mut [Row],
    images: &mut HashSet<Arc<[u8]>>,
) -> ParquetResult<()> {
    let tokens = group.list::<Int32Type>("tokens.list.element")?;
    set(rows, tokens, |row, list| {
        row.response.tokens = list.into_iter().map(|t| t.unwrap_or(0) as u32).collect();
    });
    let texts = group.list::<ByteArrayType>("token_text.list.element")?;
    set(rows, texts, |row, list| {
        let texts = list
            .iter()
            .map(|t| t.as_ref().map(string).unwrap_or_default());
        row.response.token_text = texts.collect();
    });
    type SetFloats = fn(&mut Row, Vec<f32>);
    let floats: [(&str, SetFloats); 2] = [
        ("log_probs", |row, v| row.response.log_probs = v),
        ("ref_log_probs", |row, v| row.response.ref_log_probs = v),
    ];
    for (name, put) in floats {
        let cells = group.list::<FloatType>(&format!("{name}.list.element"))?;
        set(rows, cells, |row, list| {
            put(
                row,
                list.into_iter().map(|v| v.unwrap_or(f32::NAN)).collect(),
            );
        });
    }
    let pictures = group.list::<ByteArrayType>("images.list.element")?;
    set(rows, pictures, |row, list| {
        let pictures = list.iter().flatten();
        row.response.images = pictures.map(|image| shared(images, image.data())).collect();
    });
    Ok(())
}
