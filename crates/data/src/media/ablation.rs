//! A sample whose picture is taken away: what the answer is without looking.

use image::RgbImage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Media, Part, Sample};

/// How images are taken out of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageAblation {
    /// Images and videos are left out of the conversation, placeholders included.
    #[default]
    Removed,
    /// Each image becomes a grey one of its size; videos are left out.
    Blank,
    /// Each image becomes one of its size whose grey levels are drawn at random from its place in
    /// the sample; videos are left out.
    Noise,
}

/// Grey level in the middle of the range.
const GREY: u8 = 127;

impl Sample {
    /// The same conversation without what the images show.
    ///
    /// # Errors
    /// [`Error`] when the size of an image cannot be read (not for [`ImageAblation::Removed`]).
    pub fn ablated(&self, how: ImageAblation) -> Result<Self, Error> {
        let mut sample = self.clone();
        sample.videos.clear();
        let kept = |part: &Part| match part {
            Part::Text(_) => true,
            Part::Image(_) => how != ImageAblation::Removed,
            Part::Video(_) => false,
        };
        for message in &mut sample.messages {
            message.content.retain(kept);
        }
        if how == ImageAblation::Removed {
            sample.images.clear();
        }
        for (index, image) in sample.images.iter_mut().enumerate() {
            let (width, height) = image.dimensions()?;
            let mut pixels = RgbImage::from_pixel(width, height, image::Rgb([GREY; 3]));
            if how == ImageAblation::Noise {
                noise(&mut pixels, index as u64 + 1);
            }
            *image = Media::from_image(pixels);
        }
        Ok(sample)
    }
}

/// Uniform grey levels (xorshift64*).
fn noise(pixels: &mut RgbImage, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for pixel in pixels.pixels_mut() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        pixel.0 = [(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8; 3];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Role};

    fn sample() -> Sample {
        let content = vec![Part::Image(0), Part::Text("How many?".into())];
        let turn = Message::new(Role::User, content);
        let mut sample = Sample::new("row", vec![turn]);
        sample.images = vec![Media::from_image(RgbImage::new(6, 4))];
        sample
    }

    #[test]
    fn a_removed_image_leaves_its_text() {
        let found = sample().ablated(ImageAblation::Removed).unwrap();
        assert!(found.images.is_empty());
        assert_eq!(found.messages[0].content, [Part::Text("How many?".into())]);
    }

    #[test]
    fn blank_and_noisy_images_keep_their_size() {
        let blank = sample().ablated(ImageAblation::Blank).unwrap();
        let pixels = blank.images[0].decode().unwrap();
        assert_eq!(pixels.dimensions(), (6, 4));
        assert!(pixels.pixels().all(|p| p.0 == [GREY; 3]));
        assert_eq!(blank.messages, sample().messages);
        let noisy = sample().ablated(ImageAblation::Noise).unwrap();
        let pixels = noisy.images[0].decode().unwrap();
        assert!(pixels.pixels().any(|p| p.0 != pixels.get_pixel(0, 0).0));
        assert_eq!(
            pixels,
            sample().ablated(ImageAblation::Noise).unwrap().images[0]
                .decode()
                .unwrap()
        );
    }
}
