//! Step `edit`: the target's pixels become the counterfactual object.
//!
//! The mask is that of the target's objects, grown by a square of 5 pixels ten times, without the
//! contextual object's pixels (both as in the official script). Outside it the original is put
//! back, whatever an editor did there.

use percept_steps::{Folder, Row, draw, sha256};
use percept_vision::{Cutout, Edit, Editor, changed_outside, composite};

use crate::masks::masks;
use crate::pictures::png;
use crate::scene::{Scene, decoded};
use crate::{BuildConfig, BuildError, Choice, EditRecord, Role};

/// What counts as a change by the editor outside its mask, in levels of 255: more than the noise of
/// an encoder.
const NOISE: u8 = 8;

/// What edits are made with.
pub(crate) struct EditStep<'a> {
    pub scene: Scene<'a>,
    pub folder: &'a Folder,
    pub editor: &'a dyn Editor,
    pub config: &'a BuildConfig,
}

impl EditStep<'_> {
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
        percept_base::files::write_atomic(&self.folder.out.join(&file), &png)?;
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
