//! The names of a model's classes.

use std::path::Path;

use percept_data::coco::CATEGORIES;

use crate::Error;

/// The names of a file, one a line; COCO's 80 classes without one.
pub(super) fn names(file: Option<&Path>) -> Result<Vec<String>, Error> {
    let Some(path) = file else {
        return Ok(CATEGORIES.iter().map(|c| c.name.to_string()).collect());
    };
    let text = std::fs::read_to_string(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}
