//! A folder with three pictures of different widths, in which tests write their rows.

use std::path::PathBuf;

/// The folder; it goes with this.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// With `a.png`, `b.png` and `c.png`.
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, width) in [("a.png", 3), ("b.png", 4), ("c.png", 5)] {
            image::RgbImage::new(width, 2)
                .save(folder.0.path().join(name))
                .unwrap();
        }
        folder
    }

    /// Writes a file; its path.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}
