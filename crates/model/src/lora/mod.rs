//! Low-rank adapters, with the rules and files of PEFT.

pub(crate) mod adapters;
pub(crate) mod file;
pub(crate) mod modules;
pub(crate) mod peft_config;
pub(crate) mod select;
