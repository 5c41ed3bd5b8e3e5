//! Whose folder it is: that of this method, and of one process at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use percept_base::files::write_atomic;
use percept_steps::{Folder, io};
use serde_json::{Value, json};

use crate::{Method, PairsError};

/// Holds the folder for this process.
pub(crate) struct Guard(#[expect(dead_code, reason = "held, not read")] File);

/// Takes the output folder: a new or empty one, or one that the same method wrote.
pub(crate) fn take(out: &Path, method: Method) -> Result<(Folder, Guard), PairsError> {
    let refused = |what: String, help| PairsError::Folder {
        path: out.display().to_string(),
        what,
        help,
    };
    let marker = out.join("steps/method.json");
    let named = std::fs::read(&marker).ok();
    let named = named.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    match named.as_ref().map(|marker| marker["method"].as_str()) {
        Some(Some(name)) if name == method.name() => {}
        Some(name) => {
            return Err(refused(
                format!(
                    "the folder holds pairs of --method {}, not of {}",
                    name.unwrap_or("?"),
                    method.name()
                ),
                "give another --out, or remove the folder",
            ));
        }
        // A kill before the marker was written leaves the folder of the steps alone.
        None if !is_free(out)? => {
            return Err(refused(
                "the folder holds other files".into(),
                "give a new folder as --out",
            ));
        }
        None => {}
    }
    let folder = Folder::open(out, &["candidates", "images"])?;
    let lock = out.join("steps/.lock");
    let file = File::create(&lock).map_err(io(&lock))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(refused(
                "another process is making pairs in this folder".into(),
                "wait for it to end, or give another --out",
            ));
        }
        // Some network file systems have no locks.
        Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(e)) => return Err(io(&lock)(e).into()),
    }
    let text = format!("{}\n", json!({"method": method.name()}));
    write_atomic(&marker, text.as_bytes())?;
    Ok((folder, Guard(file)))
}

/// Whether nothing but our own empty folders is there.
fn is_free(out: &Path) -> Result<bool, PairsError> {
    let entries = match std::fs::read_dir(out) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(io(out)(e).into()),
    };
    for entry in entries {
        let entry = entry.map_err(io(out))?;
        let name = entry.file_name();
        let ours = ["steps", "candidates", "images"]
            .iter()
            .any(|sub| name == *sub);
        let has_files = ours
            && std::fs::read_dir(entry.path()).is_ok_and(|mut inner| {
                inner.any(|file| {
                    file.is_ok_and(|file| !is_early(&file.file_name().to_string_lossy()))
                })
            });
        if !ours || has_files {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Files that are there before the marker: of a killed write, and of a model's answers.
fn is_early(name: &str) -> bool {
    name.starts_with('.') || name.ends_with(".journal.jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_by_one_process_for_one_method_and_no_other_file_is_touched() {
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("pairs");
        let held = take(&out, Method::Crop).unwrap();
        let error = |method| take(&out, method).err().unwrap().to_string();
        assert!(error(Method::Crop).contains("another process"));
        drop(held);
        drop(take(&out, Method::Crop).unwrap());
        assert!(error(Method::Adavip).contains("--method crop"));
        // Killed before the marker was there.
        std::fs::remove_file(out.join("steps/method.json")).unwrap();
        drop(take(&out, Method::Adavip).unwrap());
        let foreign = place.path().join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("index.html"), "mine").unwrap();
        let error = take(&foreign, Method::Crop).err().unwrap().to_string();
        assert!(error.contains("other files"), "{error}");
        assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
    }
}
