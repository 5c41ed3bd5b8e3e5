//! OpenH264, told not to flush: by default it flushes after every picture and fails on every stream with B pictures.

use image::RgbImage;
use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;

use crate::video::colour::{Plane, ToRgb};

/// A picture as it leaves the decoder; it lives until the next one.
pub(crate) struct Picture<'a> {
    yuv: DecodedYUV<'a>,
}

impl Picture<'_> {
    /// Its pixels; none when they are not what its size says.
    pub(crate) fn rgb(&self, colour: &ToRgb) -> Option<RgbImage> {
        let (width, height) = self.yuv.dimensions_i32();
        let size = (width.try_into().ok()?, height.try_into().ok()?);
        let (luma, u, v) = self.yuv.strides();
        let plane = |samples, stride| Plane { samples, stride };
        let planes = [
            plane(self.yuv.y(), luma),
            plane(self.yuv.u(), u),
            plane(self.yuv.v(), v),
        ];
        colour.picture(size, planes)
    }
}

/// The decoder's own text is four lines about itself.
fn told(error: &openh264::Error) -> String {
    format!("OpenH264, code {}", error.native_code())
}

/// Makes pictures of coded ones, in the order in which they are shown.
pub(crate) struct H264Decoder {
    decoder: Decoder,
}

impl H264Decoder {
    pub(crate) fn new() -> Result<Self, String> {
        let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let decoder =
            Decoder::with_api_config(OpenH264API::from_source(), config).map_err(|e| told(&e))?;
        Ok(Self { decoder })
    }

    /// Takes one coded picture with start codes; gives one when one is due.
    pub(crate) fn push(&mut self, coded: &[u8]) -> Result<Option<Picture<'_>>, String> {
        let decoded = self.decoder.decode(coded).map_err(|e| told(&e))?;
        Ok(decoded.map(|yuv| Picture { yuv }))
    }

    /// The pictures that are still due.
    pub(crate) fn finish(&mut self) -> Result<Vec<Picture<'_>>, String> {
        let rest = self.decoder.flush_remaining().map_err(|e| told(&e))?;
        Ok(rest.into_iter().map(|yuv| Picture { yuv }).collect())
    }
}
