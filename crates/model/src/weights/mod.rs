//! Parameters, the layers that read them, and the files that hold them.

pub(crate) mod checkpoint;
pub(crate) mod layers;
pub(crate) mod param;
pub(crate) mod random;
pub(crate) mod save;
