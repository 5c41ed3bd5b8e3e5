//! A file that a row of data named.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;

/// A file that data named, and the folders from which it may leave.
#[derive(Debug, Clone)]
pub(crate) struct NamedFile {
    path: Arc<Path>,
    folders: Arc<[PathBuf]>,
}

impl NamedFile {
    pub(crate) fn new(path: &Path, folders: &Arc<[PathBuf]>) -> Self {
        Self {
            path: path.into(),
            folders: Arc::clone(folders),
        }
    }

    /// Adds folders from which it may leave.
    pub(crate) fn also(&mut self, folders: &[PathBuf]) {
        self.folders = self.folders.iter().chain(folders).cloned().collect();
    }

    /// Whether the file lies in one of the folders, links followed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Ok(real) = self.path.canonicalize() else {
            // What is missing cannot leave, and reading it says so better.
            return Ok(());
        };
        let is_inside = |folder: &PathBuf| {
            let folder = match folder.as_os_str().is_empty() {
                true => Path::new("."),
                false => folder,
            };
            folder
                .canonicalize()
                .is_ok_and(|folder| real.starts_with(folder))
        };
        if self.folders.iter().any(is_inside) {
            return Ok(());
        }
        let folders: Vec<String> = self
            .folders
            .iter()
            .map(|folder| folder.join("").display().to_string())
            .collect();
        Err(
            Error::media("the image lies outside the folders from which images are sent or copied")
                .found(real.display())
                .expected(format!("a file in {}", folders.join(" or ")))
                .help("if it may leave this machine, allow its folder: --allow-images DIR"),
        )
    }
}
