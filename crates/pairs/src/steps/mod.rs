//! The steps, in the order in which they are done.

pub(crate) mod boxes;
pub(crate) mod candidates;
pub(crate) mod choice;
pub(crate) mod masks;
pub(crate) mod pictures;
pub(crate) mod rows;
pub(crate) mod tags;
mod tried;
