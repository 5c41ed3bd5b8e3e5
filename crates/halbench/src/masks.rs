//! The masks of an edit.

use percept_data::coco::{Mask, Object};

use crate::scene::Scene;
use crate::{BuildConfig, Role};

/// The masks of an edit.
pub(crate) struct Masks {
    /// All objects of the target class.
    pub target: Mask,
    /// The largest of them.
    pub largest: Mask,
    /// Pixels that may change.
    pub edit: Mask,
    /// Pixels of other objects, which must not be copied into the hole.
    pub avoid: Mask,
    /// Other classes of which half or more lies under the mask.
    pub also_covered: Vec<String>,
}

/// The masks of a role, or why it cannot be edited.
pub(crate) fn masks(scene: &Scene<'_>, role: &Role, config: &BuildConfig) -> Result<Masks, String> {
    let target = scene.target(role)?;
    let largest_id = role.target_objects.first().copied();
    let largest = scene.mask(role.image, |o, _| Some(o.id) == largest_id)?;
    let contextual = scene.mask(role.image, |_, class| class == role.contextual)?;
    let text = |e: percept_data::Error| e.to_string();
    let edit = target
        .dilate(5, config.mask_iterations)
        .minus(&contextual)
        .map_err(text)?;
    // What lies around the target (a table, a field of people) may go on behind it; other objects
    // must not be doubled.
    let around = |o: &Object| {
        let [x, y, w, h] = scene
            .object(role.image, largest_id.unwrap_or(0))
            .map_or([0.0; 4], |o| o.bbox);
        o.bbox[0] <= x
            && o.bbox[1] <= y
            && o.bbox[0] + o.bbox[2] >= x + w
            && o.bbox[1] + o.bbox[3] >= y + h
    };
    let avoid = scene.mask(role.image, |o, _| !around(o))?;
    let mut also_covered = Vec::new();
    for class in &role.present {
        if *class == role.target || *class == role.contextual {
            continue;
        }
        let mask = scene.mask(role.image, |_, name| name == class)?;
        let covered = mask.intersection(&edit).map_err(text)?.area();
        if covered * 2 >= mask.area() && covered > 0 {
            also_covered.push(class.clone());
        }
    }
    Ok(Masks {
        target,
        largest,
        edit,
        avoid,
        also_covered,
    })
}
