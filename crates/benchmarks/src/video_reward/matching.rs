//! Finding a clip in a file of scores: programs write the same file as `videos/a.mp4`, `./videos/a.mp4`, `/data/videos/a.mp4`
//! or by its address.

use std::collections::HashMap;

/// What is known by the names of clips.
#[derive(Debug, Clone)]
pub(super) struct ByClip<T> {
    whole: HashMap<String, T>,
    /// File name to the whole name; none where several clips have it.
    short: HashMap<String, Option<String>>,
}

impl<T> ByClip<T> {
    pub(super) fn new() -> Self {
        Self {
            whole: HashMap::new(),
            short: HashMap::new(),
        }
    }

    /// Gives back what stood there under the same whole name.
    pub(super) fn insert(&mut self, name: &str, value: T) -> Option<T> {
        let name = plain(name);
        let before = self.whole.insert(name.to_owned(), value);
        if before.is_none() {
            self.short
                .entry(file_name(name).to_owned())
                .and_modify(|known| *known = None)
                .or_insert_with(|| Some(name.to_owned()));
        }
        before
    }

    /// By the whole name, else by the file name where only one clip has it.
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        let name = plain(name);
        self.whole.get(name).or_else(|| {
            let whole = self.short.get(file_name(name))?.as_ref()?;
            self.whole.get(whole)
        })
    }
}

fn plain(name: &str) -> &str {
    let name = name.trim();
    name.strip_prefix("./")
        .unwrap_or(name)
        .trim_end_matches('/')
}

fn file_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_is_found_by_its_file_name_where_that_is_its_own() {
        let mut clips = ByClip::new();
        for (at, name) in ["a/x.mp4", "b/x.mp4", "./b/y.mp4"].iter().enumerate() {
            clips.insert(name, at);
        }
        assert_eq!(clips.get("/data/b/y.mp4"), Some(&2));
        assert_eq!(clips.get("./b/x.mp4"), Some(&1));
        // Two clips are called x.mp4: which is meant?
        assert_eq!(clips.get("c/x.mp4"), None);
        assert_eq!(clips.insert("b/y.mp4", 7), Some(2));
    }
}
