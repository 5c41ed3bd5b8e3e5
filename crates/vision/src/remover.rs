//! The editor that takes things away and needs no model.

use serde_json::{Value, json};

use crate::inpaint::remove;
use crate::{Edit, Edited, Editor, Error};

/// Fills the mask by copying patches of its surroundings, and puts nothing in its place. No pixel outside the mask
/// changes; the same seed gives the same picture. It stands in for LaMa: shadows and reflections stay, and what was never
/// in the picture is not invented.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuiltInRemover;

impl Editor for BuiltInRemover {
    fn identity(&self) -> Value {
        json!({"editor": "built-in remover", "version": 1})
    }

    fn edit(&self, edit: &Edit<'_>) -> Result<Edited, Error> {
        Ok(Edited {
            image: remove(edit.image, edit.mask, edit.avoid, edit.seed)?,
            placement: None,
        })
    }

    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}
