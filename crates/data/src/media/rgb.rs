//! Pixels of any kind as RGB, as PIL's `convert("RGB")` makes them, on white ground.

use image::{DynamicImage, ExtendedColorType, ImageBuffer, Rgb, RgbImage, RgbaImage};

/// The picture of a decoder as RGB; `original` is the kind of its pixels in the file.
pub(super) fn to_rgb(image: DynamicImage, original: ExtendedColorType) -> RgbImage {
    let high = |v: u16| (v >> 8) as u8;
    // PIL opens 16-bit gray as mode "I;16", whose conversion clips; 16-bit colour and gray with
    // alpha are unpacked to 8 bits by their high byte.
    let clip = |v: u16| v.min(255) as u8;
    match image {
        DynamicImage::ImageRgb8(image) => image,
        DynamicImage::ImageLuma8(image) => map(&image, |p| [p.0[0]; 3]),
        DynamicImage::ImageLumaA8(image) => map(&image, |p| [over_white(p.0[0], p.0[1]); 3]),
        DynamicImage::ImageRgba8(image) => on_white(&image),
        DynamicImage::ImageLuma16(image) => map(&image, |p| [clip(p.0[0]); 3]),
        DynamicImage::ImageLumaA16(image) if original == ExtendedColorType::L16 => {
            map(&image, |p| [over_white(clip(p.0[0]), high(p.0[1])); 3])
        }
        DynamicImage::ImageLumaA16(image) => {
            map(&image, |p| [over_white(high(p.0[0]), high(p.0[1])); 3])
        }
        DynamicImage::ImageRgb16(image) => map(&image, |p| p.0.map(high)),
        DynamicImage::ImageRgba16(image) => map(&image, |p| {
            let [red, green, blue, alpha] = p.0.map(high);
            [red, green, blue].map(|colour| over_white(colour, alpha))
        }),
        other => on_white(&other.into_rgba8()),
    }
}

/// A picture on white ground, as `qwen_vl_utils.to_rgb` puts it: a drawing on transparent ground would be black
/// on black.
pub(crate) fn on_white(image: &RgbaImage) -> RgbImage {
    map(image, |p| {
        let [red, green, blue, alpha] = p.0;
        [red, green, blue].map(|colour| over_white(colour, alpha))
    })
}

/// Pillow's `paste` with a mask: rounded, in whole numbers.
fn over_white(colour: u8, alpha: u8) -> u8 {
    let (colour, alpha) = (u32::from(colour), u32::from(alpha));
    let sum = 255 * (255 - alpha) + colour * alpha + 128;
    (((sum >> 8) + sum) >> 8) as u8
}

fn map<P: image::Pixel>(
    image: &ImageBuffer<P, Vec<P::Subpixel>>,
    colour: impl Fn(&P) -> [u8; 3],
) -> RgbImage {
    let mut out = RgbImage::new(image.width(), image.height());
    for (to, from) in out.pixels_mut().zip(image.pixels()) {
        *to = Rgb(colour(from));
    }
    out
}
