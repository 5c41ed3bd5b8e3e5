//! Rows as their files store them: JSONL, JSON, CSV and Parquet, plain or compressed.

pub(crate) mod big_integers;
pub(crate) mod compressed;
pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod jsonl;
pub(crate) mod open;
pub(crate) mod parquet;
pub(crate) mod python_literal;
pub(crate) mod random_file;
pub(crate) mod raw_rows;
pub(crate) mod row;
