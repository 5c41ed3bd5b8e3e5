//! Files and folders that are either complete or not there: write to a temporary name in the
//! same folder, sync, rename, sync the folder.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::FileError;

/// Marks names of unfinished files; [`recover`] removes what a killed process left.
const TEMPORARY: &str = ".tmp-";
/// Marks the previous version of a folder while it is being replaced.
const REPLACED: &str = ".old-";

/// A file that takes its name only when [`commit`](Self::commit) is called; dropped before that,
/// it disappears.
#[derive(Debug)]
pub struct AtomicFile {
    file: Option<File>,
    temporary: PathBuf,
    target: PathBuf,
}

impl AtomicFile {
    /// Opens a temporary file beside `target`, making its folder if needed.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        let folder = parent(target);
        fs::create_dir_all(folder).map_err(FileError::of("create the folder", folder))?;
        let temporary = temporary_path(target);
        let file = File::create(&temporary).map_err(FileError::of("write", target))?;
        Ok(Self {
            file: Some(file),
            temporary,
            target: target.to_path_buf(),
        })
    }

    /// Syncs the content and gives the file its name, replacing a file that has it.
    pub fn commit(mut self) -> Result<(), FileError> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let done = file
            .sync_all()
            .map_err(FileError::of("write", &self.target));
        drop(file);
        let done = done.and_then(|()| {
            fs::rename(&self.temporary, &self.target).map_err(FileError::of("write", &self.target))
        });
        if done.is_err() {
            let _ = fs::remove_file(&self.temporary);
        }
        done.and_then(|()| sync_folder(parent(&self.target)))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("the file was committed")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a whole file so that a reader, or a crash, sees the old content or the new one.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("summary.json");
/// percept_base::files::write_atomic(&path, b"{}")?;
/// assert_eq!(std::fs::read(&path).unwrap(), b"{}");
/// # Ok::<(), percept_base::files::FileError>(())
/// ```
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)
        .map_err(FileError::of("write", path))?;
    file.commit()
}

/// A fresh hidden name in the folder of `target`, which [`recover`] removes if it is still there.
pub fn temporary_path(target: &Path) -> PathBuf {
    marked_path(target, TEMPORARY)
}

/// Gives the finished folder `temporary` the name `target`; everything in it is synced first. A
/// folder that has the name is replaced.
///
/// A kill between the two renames of a replacement leaves the old folder under a hidden name;
/// [`recover`] puts it back.
pub fn replace_dir(temporary: &Path, target: &Path) -> Result<(), FileError> {
    sync_tree(temporary)?;
    let folder = parent(target);
    let replaced = match target.symlink_metadata() {
        Ok(_) => {
            let old = marked_path(target, REPLACED);
            fs::rename(target, &old).map_err(FileError::of("replace", target))?;
            Some(old)
        }
        Err(_) => None,
    };
    if let Err(error) = fs::rename(temporary, target) {
        if let Some(old) = &replaced {
            let _ = fs::rename(old, target);
        }
        return Err(FileError::of("rename a finished folder to", target)(error));
    }
    sync_folder(folder)?;
    match replaced {
        Some(old) => remove(&old),
        None => Ok(()),
    }
}

/// Removes a folder so that a kill half-way never leaves a part of it under its name.
pub fn remove_dir(path: &Path) -> Result<(), FileError> {
    let temporary = temporary_path(path);
    fs::rename(path, &temporary).map_err(FileError::of("remove", path))?;
    remove(&temporary)
}

/// Removes unfinished files of killed processes in `folder` (not in its subfolders) and puts
/// back folders whose replacement was interrupted. A missing folder has none.
pub fn recover(folder: &Path) -> Result<(), FileError> {
    for name in list_dir(folder)? {
        let path = folder.join(&name);
        if name.starts_with('.') && name.contains(TEMPORARY) {
            remove(&path)?;
        } else if let Some(target) = replaced_name(&name) {
            let target = folder.join(target);
            if target.exists() {
                remove(&path)?;
            } else {
                fs::rename(&path, &target).map_err(FileError::of("restore", &target))?;
            }
        }
    }
    Ok(())
}

/// Names in a folder, sorted; names that are not Unicode are none of ours. A missing folder is
/// empty.
pub fn list_dir(folder: &Path) -> Result<Vec<String>, FileError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::of("list", folder)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(FileError::of("list", folder))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

fn replaced_name(name: &str) -> Option<&str> {
    let (target, _) = name.strip_prefix('.')?.rsplit_once(REPLACED)?;
    Some(target)
}

fn marked_path(target: &Path, mark: &str) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!("{mark}{}-{count}", std::process::id()));
    parent(target).join(name)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Removes a file, or a folder with all that is in it.
pub fn remove(path: &Path) -> Result<(), FileError> {
    let kind = path
        .symlink_metadata()
        .map_err(FileError::of("remove", path))?
        .file_type();
    if kind.is_dir() {
        fs::remove_dir_all(path).map_err(FileError::of("remove", path))
    } else {
        fs::remove_file(path).map_err(FileError::of("remove", path))
    }
}

fn sync_tree(path: &Path) -> Result<(), FileError> {
    if !path.is_dir() {
        let file = File::open(path).map_err(FileError::of("sync", path))?;
        return file.sync_all().map_err(FileError::of("sync", path));
    }
    for entry in fs::read_dir(path).map_err(FileError::of("list", path))? {
        sync_tree(&entry.map_err(FileError::of("list", path))?.path())?;
    }
    sync_folder(path)
}

/// Makes renames in a folder durable. Windows has no such call and needs none.
fn sync_folder(folder: &Path) -> Result<(), FileError> {
    if cfg!(unix) {
        let handle = File::open(folder).map_err(FileError::of("sync", folder))?;
        handle.sync_all().map_err(FileError::of("sync", folder))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_committed_leaves_nothing_and_keeps_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomic(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"ne").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(file);
        assert_eq!(list_dir(folder.path()).unwrap(), ["a.json"]);
        write_atomic(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(list_dir(folder.path()).unwrap(), ["a.json"]);
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("step-000001");
        for content in ["one", "two"] {
            let temporary = temporary_path(&target);
            fs::create_dir_all(temporary.join("percept")).unwrap();
            fs::write(temporary.join("percept/state.json"), content).unwrap();
            replace_dir(&temporary, &target).unwrap();
            let read = fs::read_to_string(target.join("percept/state.json")).unwrap();
            assert_eq!(read, content);
        }
        assert_eq!(list_dir(folder.path()).unwrap(), ["step-000001"]);
    }

    #[test]
    fn what_a_kill_left_is_removed_and_an_interrupted_replacement_undone() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("step-000001");
        fs::write(temporary_path(&folder.path().join("x")), "half").unwrap();
        fs::create_dir(temporary_path(&target)).unwrap();
        let old = marked_path(&target, REPLACED);
        fs::create_dir(&old).unwrap();
        fs::write(old.join("model"), "kept").unwrap();
        recover(folder.path()).unwrap();
        assert_eq!(list_dir(folder.path()).unwrap(), ["step-000001"]);
        assert_eq!(fs::read_to_string(target.join("model")).unwrap(), "kept");
    }

    #[test]
    fn errors_name_the_file_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let path = folder.path().join("file/inside/a.json");
        let message = write_atomic(&path, b"").unwrap_err().to_string();
        assert!(message.contains("file/inside"), "{message}");
        assert!(
            message.contains("help: a file stands where a folder"),
            "{message}"
        );
    }
}
