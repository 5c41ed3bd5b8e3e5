//! The editor that needs no model.

use serde_json::{Value, json};

use crate::fits::fits;
use crate::inpaint::remove;
use crate::{Edit, Edited, Editor, Error, poisson};

/// Takes the object away by copying patches of its surroundings and blends a cut-out of the new class in its place in
/// the gradient domain. No pixel outside the mask changes; the same seed gives the same picture. See the crate's page
/// for what it cannot do.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuiltIn;

impl Editor for BuiltIn {
    fn identity(&self) -> Value {
        json!({"editor": "built-in", "version": 1})
    }

    fn edit(&self, edit: &Edit<'_>) -> Result<Edited, Error> {
        fits(edit.image, edit.mask)?;
        let cutout = edit.cutout.ok_or_else(|| Error::NoCutout {
            class: edit.class.to_owned(),
        })?;
        let placed = cutout.placed(edit.object, edit.mask)?;
        let emptied = remove(edit.image, edit.mask, edit.avoid, edit.seed)?;
        Ok(Edited {
            image: poisson::clone_seamlessly(&emptied, &placed.image, &placed.mask)?,
            placement: Some(placed.placement),
        })
    }

    fn inserts_cutouts(&self) -> bool {
        true
    }

    fn at_once(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}
