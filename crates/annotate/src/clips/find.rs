//! Finding pairs, wherever they are.

use crate::clips::pair::Clips;
use crate::clips::source::ClipSource;
use crate::clips::{folder, table};
use crate::error::Error;

impl ClipSource {
    /// Reads the table, or looks through the folder.
    ///
    /// # Errors
    /// A file that cannot be read, a column or a prompt that is missing, and a pair of which one clip is missing.
    pub fn find(&self) -> Result<Clips, Error> {
        let clips = match self.path.is_dir() {
            true => folder::find(self)?,
            false => table::find(self)?,
        };
        if clips.pairs.is_empty() {
            let what = match clips.skipped.first() {
                Some(first) => format!("no pair of clips is whole: {first}"),
                None => "there is no pair of clips".to_owned(),
            };
            return Err(percept_data::Error::file(what).in_file(&self.path).into());
        }
        Ok(clips)
    }
}
