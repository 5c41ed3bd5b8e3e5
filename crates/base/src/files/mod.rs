//! Files and folders that are complete or not there, and what the operating system says where they cannot be.

mod atomic;
mod error;

pub use atomic::{
    AtomicFile, list_dir, recover, remove, remove_dir, replace_dir, temporary_path, write_atomic,
};
pub use error::FileError;
