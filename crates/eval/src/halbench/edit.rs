//! Step `edit`: the target's pixels become the counterfactual object.
//!
//! The mask is that of the target's objects, grown by a square of 5 pixels ten times, without the
//! contextual object's pixels (both as in the official script). Outside it the original is put
//! back, whatever an editor did there.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::{ImageFormat, RgbImage};
use percept_data::Media;
use percept_data::coco::{CocoInstances, Mask, Object};
use percept_vision::{Cutout, Edit, Editor, changed_outside, composite};

use super::folder::{Folder, draw, sha256};
use super::{BuildConfig, BuildError, Choice, EditRecord, Role, Row};

/// What counts as a change by the editor outside its mask, in levels of 255: more than the noise of
/// an encoder.
const NOISE: u8 = 8;

/// Annotations and images.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub coco: &'a CocoInstances,
    pub images: &'a Path,
    /// Folders from which images may come into the benchmark.
    pub folders: &'a Arc<[PathBuf]>,
}

impl<'a> Scene<'a> {
    /// An object by its number.
    pub fn object(&self, image: u64, id: u64) -> Option<&'a Object> {
        self.coco.objects(image).iter().find(|o| o.id == id)
    }

    /// An image that the annotations name.
    pub fn picture(&self, file: &str) -> Media {
        Media::from_path(self.images.join(file)).within(self.folders)
    }

    fn size(&self, image: u64) -> (u32, u32) {
        self.coco
            .image(image)
            .map_or((0, 0), |i| (i.width, i.height))
    }

    /// The pixels of objects; an outline that cannot be drawn is a reason to drop the row.
    fn mask(&self, image: u64, wanted: impl Fn(&Object, &str) -> bool) -> Result<Mask, String> {
        let (width, height) = self.size(image);
        // Also says when the annotations give the image a size that no image has.
        let mut union = Mask::from_polygons(&[], width, height).map_err(|e| e.to_string())?;
        for object in self.coco.objects(image) {
            let class = self.coco.category_name(object.category).unwrap_or_default();
            if wanted(object, class) {
                let mask = object.mask(width, height);
                let joined = mask.and_then(|mask| union.union(&mask));
                union = joined.map_err(|e| format!("an outline cannot be drawn: {e}"))?;
            }
        }
        Ok(union)
    }

    /// The pixels of the target's objects.
    pub fn target(&self, role: &Role) -> Result<Mask, String> {
        self.mask(role.image, |_, class| class == role.target)
    }
}

/// The image of a role, or why it cannot be used.
pub(super) fn decoded(
    scene: &Scene<'_>,
    role: &Role,
) -> Result<Result<RgbImage, String>, BuildError> {
    let picture = scene.picture(&role.file);
    // What is edited is copied, and may be sent to an editor.
    let image = match picture.may_leave().and_then(|()| picture.decode()) {
        Ok(image) => image,
        Err(e) => return Ok(Err(format!("the image cannot be read: {e}"))),
    };
    let (width, height) = scene.size(role.image);
    if image.dimensions() != (width, height) {
        let (w, h) = image.dimensions();
        return Ok(Err(format!(
            "the image has not the size in its annotation: {w} × {h} pixels, annotated {width} × {height}"
        )));
    }
    Ok(Ok(image))
}

/// The masks of an edit.
struct Masks {
    /// All objects of the target class.
    target: Mask,
    /// The largest of them.
    largest: Mask,
    /// Pixels that may change.
    edit: Mask,
    /// Pixels of other objects, which must not be copied into the hole.
    avoid: Mask,
    also_covered: Vec<String>,
}

fn masks(scene: &Scene<'_>, role: &Role, config: &BuildConfig) -> Result<Masks, String> {
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

/// What edits are made with.
pub(super) struct Workshop<'a> {
    pub scene: Scene<'a>,
    pub folder: &'a Folder,
    pub editor: &'a dyn Editor,
    pub config: &'a BuildConfig,
}

impl Workshop<'_> {
    /// The file of an edit, relative to the output folder.
    fn file(id: &str) -> String {
        // A class may have any name; its file stays in the folder.
        let plain = |c: char| match c {
            ':' | '/' | '\\' => '-',
            c if c.is_whitespace() || c.is_control() => '-',
            c => c,
        };
        format!("edits/{}.png", id.chars().map(plain).collect::<String>())
    }

    /// Whether the file of a row is as it was written.
    pub fn is_whole(&self, row: &Row<EditRecord>) -> bool {
        let Some(record) = &row.kept else { return true };
        let bytes = std::fs::read(self.folder.out.join(&record.edited));
        bytes.is_ok_and(|bytes| sha256(&bytes) == record.edited_sha256)
    }

    /// Edits one image.
    pub fn edit(&self, id: &str, choice: &Choice) -> Result<Row<EditRecord>, BuildError> {
        let image = match decoded(&self.scene, &choice.role)? {
            Ok(image) => image,
            Err(reason) => return Ok(Row::dropped(id, reason)),
        };
        let masks = match masks(&self.scene, &choice.role, self.config) {
            Ok(masks) => masks,
            Err(reason) => return Ok(Row::dropped(id, reason)),
        };
        let reached = masks.target.intersection(&masks.edit)?.area() as f64;
        let reached = reached / masks.target.area().max(1) as f64;
        let cutout = match self.cutout(choice)? {
            Ok(cutout) => cutout,
            Err(reason) => return Ok(Row::dropped(id, reason)),
        };
        let edit = Edit {
            image: &image,
            mask: &masks.edit,
            object: &masks.largest,
            avoid: &masks.avoid,
            class: &choice.counterfactual,
            prompt: &choice.description,
            cutout: cutout.as_ref(),
            seed: draw(self.config.seed, &["edit", id]),
        };
        let edited = match self.editor.edit(&edit) {
            Ok(edited) => edited,
            // What lies in the images is a reason; what lies in the editor stops the run.
            Err(
                e @ (percept_vision::Error::NoPlace { .. } | percept_vision::Error::Covered { .. }),
            ) => {
                return Ok(Row::dropped(id, e.to_string()));
            }
            Err(e) => return Err(e.into()),
        };
        let outside = changed_outside(&image, &edited.image, &masks.edit, NOISE)?;
        let png = png(&composite(&image, &edited.image, &masks.edit)?)?;
        let file = Self::file(id);
        percept_report::write_atomic(&self.folder.out.join(&file), &png)?;
        let original = self.scene.picture(&choice.role.file).outgoing()?;
        let record = EditRecord {
            choice: choice.clone(),
            edited: file,
            edited_sha256: sha256(&png),
            original_sha256: sha256(&original),
            mask_rle: masks.edit.rle_string(),
            size: [image.width(), image.height()],
            target_reached: reached,
            editor_changed_outside: outside,
            also_covered: masks.also_covered,
            placement: edited.placement,
        };
        Ok(Row::kept(id, record))
    }

    fn cutout(&self, choice: &Choice) -> Result<Result<Option<Cutout>, String>, BuildError> {
        let Some(source) = choice
            .cutout
            .as_ref()
            .filter(|_| self.editor.inserts_cutouts())
        else {
            return Ok(Ok(None));
        };
        let role = Role {
            image: source.image,
            file: source.file.clone(),
            ..choice.role.clone()
        };
        let image = match decoded(&self.scene, &role)? {
            Ok(image) => image,
            Err(reason) => return Ok(Err(format!("cut-out: {reason}"))),
        };
        match self.scene.mask(source.image, |o, _| o.id == source.object) {
            Ok(mask) => Ok(Ok(Some(Cutout::new(&image, &mask)?))),
            Err(reason) => Ok(Err(format!("cut-out: {reason}"))),
        }
    }
}

/// An image as PNG.
pub(super) fn png(image: &RgbImage) -> Result<Vec<u8>, BuildError> {
    let mut bytes = Cursor::new(Vec::new());
    let written = image.write_to(&mut bytes, ImageFormat::Png);
    written.map_err(unwritten)?;
    Ok(bytes.into_inner())
}

/// An image as JPEG of this quality, 1 to 100.
pub(super) fn jpeg(image: &RgbImage, quality: u8) -> Result<Vec<u8>, BuildError> {
    crate::thumbnail::jpeg(image, quality).map_err(unwritten)
}

fn unwritten(source: image::ImageError) -> BuildError {
    let what = "encoding".into();
    percept_vision::Error::Picture { what, source }.into()
}
