//! The fenced blocks of a page of documentation.

use std::fs;
use std::path::Path;

/// A fenced block.
pub struct Block {
    /// `sh`, `toml`, ….
    pub language: String,
    /// What stands behind the language: the name of a file.
    pub file: Option<String>,
    pub text: String,
    /// Where it begins.
    pub line: usize,
}

/// All blocks of a page, in their order.
pub fn of_page(path: &Path) -> Vec<Block> {
    let page = fs::read_to_string(path).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => {
                let mut words = info.split_whitespace();
                open = Some(Block {
                    language: words.next().unwrap_or_default().to_owned(),
                    file: words.next().map(str::to_owned),
                    text: String::new(),
                    line: number + 1,
                });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a block does not end", path.display());
    blocks
}

/// The commands of a `sh` block: comments dropped, continued lines joined.
pub fn commands(block: &Block) -> Vec<String> {
    let mut found = Vec::new();
    let mut whole = String::new();
    for line in block.text.lines() {
        let line = match line.find("  #") {
            Some(at) => &line[..at],
            None => line,
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        whole.push_str(line.trim_end_matches('\\').trim_end());
        if line.ends_with('\\') {
            whole.push(' ');
            continue;
        }
        found.push(std::mem::take(&mut whole));
    }
    found
}

/// A file of this repository.
pub fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}
