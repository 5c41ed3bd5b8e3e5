//! Step `choice`: the counterfactual class, the description of the edited image, the cut-out.
//!
//! With a model: it is shown the image with the target in translucent red and names one of the
//! candidates; then, in two turns, it describes the image and the image after the edit. Without: of
//! the candidates the one of which a cut-out fits best is taken ([`Catalogue::best`]), and the
//! description is a sentence with the classes.

use image::{Rgb, RgbImage};
use percept_chat::ChatModel;
use percept_data::coco::Mask;
use percept_data::{Media, Message};

use crate::catalogue::{Catalogue, Fit};
use crate::scene::{Scene, decoded};
use crate::{BuildConfig, BuildError, Choice, CutoutSource, Role, Row, prompts};

/// Opacity of the red mark, of 255 (official value).
const MARK_OPACITY: u32 = 80;

/// How often a model is asked when it names no candidate or says nothing.
const ATTEMPTS: usize = 3;

/// What choices are made with.
pub(crate) struct Chooser<'a> {
    pub scene: Scene<'a>,
    pub catalogue: Catalogue<'a>,
    pub model: Option<&'a dyn ChatModel>,
    /// Whether the editor can only insert what is cut out.
    pub cutouts: bool,
    pub config: &'a BuildConfig,
}

impl Chooser<'_> {
    /// Chooses for one image.
    pub fn choose(&self, id: &str, role: &Role) -> Result<Row<Choice>, BuildError> {
        let mut role = role.clone();
        if self.cutouts || self.model.is_none() {
            let mut fitting = role.candidates.clone();
            fitting.retain(|class| self.fits(class, &role).is_some());
            role.candidates = fitting;
            if role.candidates.is_empty() {
                let reason = "no other image has a cut-out of a candidate that fits";
                return Ok(Row::dropped(id, reason));
            }
        }
        match self.model {
            Some(model) => self.ask(id, role, model),
            None => Ok(self.by_rule(id, role)),
        }
    }

    fn fits(&self, class: &str, role: &Role) -> Option<Fit> {
        let target = self
            .scene
            .object(role.image, *role.target_objects.first()?)?;
        self.catalogue.best(class, role, target, self.config)
    }

    fn by_rule(&self, id: &str, role: Role) -> Row<Choice> {
        let fits = role
            .candidates
            .iter()
            .filter_map(|class| Some((class, self.fits(class, &role)?)));
        let best = fits.min_by(|(_, a), (_, b)| a.cost.total_cmp(&b.cost));
        let Some((class, fit)) = best.map(|(class, fit)| (class.clone(), fit)) else {
            return Row::dropped(id, "no cut-out of a candidate fits");
        };
        let choice = Choice {
            description: prompts::plain_description(&role, &class),
            role,
            counterfactual: class,
            chosen_by: "rule: the cut-out that fits best".into(),
            reason: fit.reason,
            cutout: Some(fit.source),
        };
        Row::kept(id, choice)
    }

    fn ask(&self, id: &str, role: Role, model: &dyn ChatModel) -> Result<Row<Choice>, BuildError> {
        let image = match decoded(&self.scene, &role)? {
            Ok(image) => image,
            Err(reason) => return Ok(Row::dropped(id, reason)),
        };
        let target = match self.scene.target(&role) {
            Ok(target) => target,
            Err(reason) => return Ok(Row::dropped(id, reason)),
        };
        let marked = marked(&image, &target.dilate(5, self.config.mark_iterations));
        let (image, marked) = (Media::from_image(image), Media::from_image(marked));
        let mut reply = String::new();
        let mut chosen = None;
        for attempt in 0..ATTEMPTS {
            let turn = prompts::shown(0, prompts::choose(&role));
            let asked = prompts::request(id.into(), vec![turn], vec![marked.clone()], attempt);
            reply = model.ask(&asked)?.text;
            chosen = prompts::named(&reply, &role.candidates).map(str::to_owned);
            if chosen.is_some() {
                break;
            }
        }
        let Some(class) = chosen else {
            let reply: String = reply.chars().take(120).collect();
            return Ok(Row::dropped(
                id,
                format!("the model named no candidate: {reply}"),
            ));
        };
        let Some(description) = describe(id, &role, &class, &[image, marked], model)? else {
            return Ok(Row::dropped(id, "the model gave no description"));
        };
        let cutout: Option<CutoutSource> = self.fits(&class, &role).map(|fit| fit.source);
        let choice = Choice {
            role,
            counterfactual: class,
            chosen_by: "model".into(),
            reason: reply,
            description,
            cutout: cutout.filter(|_| self.cutouts),
        };
        Ok(Row::kept(id, choice))
    }
}

/// Two turns: the image, then the image after the edit.
fn describe(
    id: &str,
    role: &Role,
    class: &str,
    images: &[Media; 2],
    model: &dyn ChatModel,
) -> Result<Option<String>, BuildError> {
    for attempt in 0..ATTEMPTS {
        let first = prompts::shown(0, prompts::describe(role));
        let asked = prompts::request(id.into(), vec![first.clone()], images.to_vec(), attempt);
        let before = model.ask(&asked)?.text;
        let answer = Message::text(percept_data::Role::Assistant, before);
        let second = prompts::shown(1, prompts::describe_edited(role, class));
        let turns = vec![first, answer, second];
        let asked = prompts::request(id.into(), turns, images.to_vec(), attempt);
        let after = model.ask(&asked)?.text.trim().to_owned();
        if !after.is_empty() {
            return Ok(Some(after));
        }
    }
    Ok(None)
}

/// The image with a mask in translucent red.
fn marked(image: &RgbImage, mask: &Mask) -> RgbImage {
    let mut marked = image.clone();
    for (x, y) in mask.pixels() {
        let over = |old: u8, new: u32| {
            ((u32::from(old) * (255 - MARK_OPACITY) + new * MARK_OPACITY + 127) / 255) as u8
        };
        let [r, g, b] = image.get_pixel(x, y).0;
        marked.put_pixel(x, y, Rgb([over(r, 255), over(g, 0), over(b, 0)]));
    }
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_red_and_lets_the_image_through() {
        let image = RgbImage::from_pixel(2, 1, Rgb([100, 100, 100]));
        let marked = marked(&image, &Mask::from_fn(2, 1, |x, _| x == 1));
        assert_eq!(marked.get_pixel(0, 0).0, [100, 100, 100]);
        // 100 · 175/255 + 255 · 80/255 and 100 · 175/255.
        assert_eq!(marked.get_pixel(1, 0).0, [149, 69, 69]);
    }
}
