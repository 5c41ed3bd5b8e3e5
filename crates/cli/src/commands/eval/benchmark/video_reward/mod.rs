//! Benchmarks of video reward models: files and scorers in, one table out.

mod args;
pub mod genai;
mod measure;
mod page;
pub mod react_bench;
mod run;
mod scorers;
pub mod videogen;
