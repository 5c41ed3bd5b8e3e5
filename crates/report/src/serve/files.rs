//! Files of the run folder.

use std::fs;
use std::path::{Component, Path, PathBuf};

use percept_http::server::{Content, Response};

const EXTENSIONS: [&str; 4] = ["toml", "jsonl", "json", "parquet"];

/// The file `name` of a run folder.
pub(super) fn file(run: &Path, name: &str) -> Response {
    let missing = || Response::error(404, "no such file in the run folder");
    let Some(path) = inside(run, name) else {
        return missing();
    };
    let content_type = match path.extension().and_then(|e| e.to_str()) {
        Some("json") => "application/json",
        Some("parquet") => "application/vnd.apache.parquet",
        _ => "text/plain; charset=utf-8",
    };
    let open = fs::File::open(&path).and_then(|file| {
        let len = file.metadata()?.len();
        Ok((file, len))
    });
    match open {
        Ok((file, len)) => Response {
            status: 200,
            content_type,
            body: Content::File(file, len),
        },
        Err(_) => missing(),
    }
}

/// The file `name` of `root`: of a known kind, with plain path components, none hidden, and in
/// `root` also after symbolic links are followed. Checkpoints are not served.
fn inside(root: &Path, name: &str) -> Option<PathBuf> {
    let name = Path::new(name);
    let plain = name.components().all(|part| match part {
        Component::Normal(part) => part.to_str().is_some_and(|part| !part.starts_with('.')),
        _ => false,
    });
    let known = name
        .extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| EXTENSIONS.contains(&e));
    if !plain || !known || name.starts_with("checkpoints") {
        return None;
    }
    let path = fs::canonicalize(root.join(name)).ok()?;
    let root = fs::canonicalize(root).ok()?;
    (path.starts_with(root) && path.is_file()).then_some(path)
}
