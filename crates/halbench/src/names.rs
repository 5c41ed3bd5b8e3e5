//! Names of images.

use std::path::Path;

/// The name of an image in rows and files: its path without the ending, in letters, digits, `-`,
/// `_` and `.`.
pub(crate) fn stem(file_name: &str) -> String {
    let without = Path::new(file_name).with_extension("");
    let plain = |c: char| match c {
        c if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') => c,
        _ => '_',
    };
    without.to_string_lossy().chars().map(plain).collect()
}

/// The name that a built benchmark gives an original, without its ending. The official code takes
/// `_` and three digits at the end for the number of an edit: a name that ends so gets an `o` behind it.
pub fn base_name(file: &str) -> String {
    let stem = stem(file);
    let ends_as_edit = stem
        .rsplit_once('_')
        .is_some_and(|(_, number)| number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit()));
    if ends_as_edit {
        format!("{stem}o")
    } else {
        stem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_names_of_files() {
        assert_eq!(
            stem("val2014/COCO_val2014_000000000042.jpg"),
            "val2014_COCO_val2014_000000000042"
        );
        assert_eq!(stem("../a b.png"), ".._a_b");
    }
}
