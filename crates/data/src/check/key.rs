//! What makes two rows the same question, and two pairs the same or opposite.

use sha2::{Digest, Sha256};

use crate::{Message, Part, Sample};

/// Hash of the prompt and its media: of everything that makes two rows the same question.
pub(super) fn key(sample: &Sample) -> Option<[u8; 32]> {
    let mut hasher = Sha256::new();
    let tagged = |hasher: &mut Sha256, tag: u8, len: usize| {
        hasher.update([tag]);
        hasher.update((len as u64).to_le_bytes());
    };
    for message in &sample.messages {
        tagged(&mut hasher, message.role as u8, message.content.len());
        for part in &message.content {
            match part {
                Part::Text(text) => {
                    tagged(&mut hasher, 10, text.len());
                    hasher.update(text);
                }
                Part::Image(index) => {
                    tagged(&mut hasher, 11, 1);
                    hasher.update(sample.images.get(*index)?.hash().ok()?);
                }
                Part::Video(index) => {
                    let frames = &sample.videos.get(*index)?.frames;
                    tagged(&mut hasher, 12, frames.len());
                    for frame in frames {
                        hasher.update(frame.hash().ok()?);
                    }
                }
            }
        }
    }
    Some(hasher.finalize().into())
}

/// Hash of a pair: of its question, then the better answer, then the worse ones. With `swapped` the first worse answer
/// stands in the place of the better one: the key of a pair that says the opposite.
pub(super) fn pair_key(sample: &Sample, swapped: bool) -> Option<[u8; 32]> {
    let pair = sample.preference.as_ref()?;
    let mut hasher = Sha256::new();
    hasher.update(key(sample)?);
    let mut answer = |turns: &[Message]| {
        for turn in turns {
            let text = turn.plain_text();
            hasher.update([turn.role as u8]);
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
            hasher.update(serde_json::Value::Object(turn.fields.clone()).to_string());
        }
        hasher.update([255]);
    };
    match (swapped, pair.rejected.split_first()) {
        (false, _) => {
            answer(&pair.chosen);
            pair.rejected.iter().for_each(|turns| answer(turns));
        }
        (true, Some((first, others))) => {
            answer(first);
            answer(&pair.chosen);
            others.iter().for_each(|turns| answer(turns));
        }
        (true, None) => return None,
    }
    for set in &pair.rejected_images {
        hasher.update((set.len() as u64).to_le_bytes());
        for picture in set {
            hasher.update(picture.hash().ok()?);
        }
    }
    Some(hasher.finalize().into())
}
