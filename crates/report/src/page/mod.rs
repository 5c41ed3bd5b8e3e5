//! Pages: the report of a run, and plain pages of tables and charts. Each is one HTML file that loads nothing.

mod answers;
mod chart;
mod escape;
mod heat_map;
mod images;
mod pair_payload;
mod payload;
mod plain;
mod report;
mod sample;

pub(crate) use answers::Budget;
pub use chart::{Chart, Series};
pub use escape::escape;
pub use heat_map::HeatMap;
pub(crate) use pair_payload::pairs;
pub(crate) use payload::rollouts;
pub use plain::Page;
pub(crate) use report::render_live;
pub use report::{Report, render, write_report};
