//! Names and boxes of ms-swift rows, written as the model's family has them.

use std::borrow::Cow;

use percept_data::{BoxFormat, Message, Role, Sample, Scale};

use crate::Error;
use crate::processor::errors::at;
use crate::processor::vision::VisionProcessor;

/// The sample with `<ref-object>` and `<bbox>` filled from its `objects`: coordinates are thousandths for
/// Qwen2-VL (and text models), pixels of the resized picture for Qwen2.5-VL.
///
/// `format` comes before the family's own way.
///
/// # Errors
/// [`Error::Processor`] naming the row, when objects are missing or their image cannot be read.
pub(super) fn grounded<'a>(
    vision: Option<&dyn VisionProcessor>,
    format: Option<BoxFormat>,
    sample: &'a Sample,
) -> Result<Cow<'a, Sample>, Error> {
    let Some(objects) = &sample.objects else {
        return Ok(Cow::Borrowed(sample));
    };
    let native = vision.map_or(BoxFormat::Plain, VisionProcessor::box_format);
    let format = format.unwrap_or(native);
    let scale = |image: usize| -> Result<Option<Scale>, percept_data::Error> {
        if sample.images.is_empty() {
            return Ok(None);
        }
        let missing = || {
            percept_data::Error::row("image_id names an image that the row does not have")
                .field("objects.image_id")
                .found(image)
                .expected(format!("below {}", sample.images.len()))
        };
        let picture = sample.images.get(image).ok_or_else(missing)?;
        let (width, height) = picture.dimensions()?;
        let stored = (f64::from(width), f64::from(height));
        let target = match vision {
            Some(vision) => vision.box_size(width as usize, height as usize)?,
            None => None,
        };
        let target = target.map_or((1000.0, 1000.0), |(w, h)| (w as f64, h as f64));
        Ok(Some([stored, target]))
    };
    let mut filled = sample.clone();
    // The expert's text is the last turn.
    let turns = filled.messages.len();
    let mut messages = std::mem::take(&mut filled.messages);
    if filled.trajectory.is_empty() {
        let expert = filled.expert.take();
        messages.extend(expert.map(|text| Message::text(Role::Assistant, text)));
    } else {
        messages.append(&mut filled.trajectory);
    }
    objects
        .fill(&mut messages, format, &scale)
        .map_err(|error| match error.report().row {
            Some(_) => Error::from(error),
            None => at(sample, "objects", error.report().to_string()),
        })?;
    let expert = messages.split_off(turns);
    filled.messages = messages;
    if sample.trajectory.is_empty() {
        filled.expert = expert.first().map(Message::plain_text);
    } else {
        filled.trajectory = expert;
    }
    Ok(Cow::Owned(filled))
}
