//! Targets that read files: each thread has a folder of its own in memory or on disk.

use std::path::Path;

use percept_data::{ColumnMap, Dataset, FileDataset};

/// Runs `body` in a folder that holds these files.
pub fn in_folder<T>(files: &[(&str, &[u8])], body: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("a temporary file");
    }
    body(folder.path())
}

/// Reads all rows of a file twice; none when the file is refused as a whole.
pub fn read_rows(name: &str, bytes: &[u8]) -> Option<usize> {
    in_folder(&[(name, bytes)], |folder| {
        let path = folder.join(name);
        let rows = FileDataset::open(&[path], &ColumnMap::default(), None).ok()?;
        for row in 0..rows.len() {
            let [once, twice] = [0; 2].map(|_| rows.get(row).map_err(|error| error.to_string()));
            assert_eq!(format!("{once:?}"), format!("{twice:?}"));
            for image in once.iter().flat_map(|sample| &sample.images) {
                let _ = image.dimensions();
            }
        }
        Some(rows.len())
    })
}
