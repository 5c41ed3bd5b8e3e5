//! What the image processors of several model families read alike in `preprocessor_config.json`.

use image::RgbImage;
use serde_json::Value;

use crate::Error;

/// From grey levels to a tower's input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Normalisation {
    /// Mean of each channel after rescaling.
    pub(crate) mean: [f32; 3],
    /// Standard deviation of each channel after rescaling.
    pub(crate) std: [f32; 3],
    /// Grey levels are multiplied by this first, in double precision as NumPy does it.
    pub(crate) rescale_factor: f64,
}

impl Default for Normalisation {
    /// OpenAI's CLIP, which the Qwen2-VL family took over.
    fn default() -> Self {
        Self {
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
            rescale_factor: 1.0 / 255.0,
        }
    }
}

impl Normalisation {
    /// `image_mean`, `image_std`, `rescale_factor`, and what is switched off; absent fields are those of `default`.
    pub(crate) fn read(config: &Value, default: Self) -> Result<Self, Error> {
        let mut out = default;
        check_steps(config, &["do_rescale", "do_normalize"])?;
        for (field, into) in [("image_mean", &mut out.mean), ("image_std", &mut out.std)] {
            let value = &config[field];
            if value.is_null() {
                continue;
            }
            let list: Option<Vec<f32>> = value.as_array().map(|items| {
                items
                    .iter()
                    .filter_map(|v| v.as_f64().map(|v| v as f32))
                    .collect()
            });
            *into = list
                .and_then(|list| list.try_into().ok())
                .ok_or_else(|| bad(field, value, "three numbers"))?;
        }
        if out.std.iter().any(|std| !std.is_normal()) {
            let expected = "three numbers that are not 0";
            return Err(bad("image_std", &config["image_std"], expected));
        }
        match &config["rescale_factor"] {
            Value::Null => {}
            value => {
                out.rescale_factor = value
                    .as_f64()
                    .ok_or_else(|| bad("rescale_factor", value, "a number"))?;
            }
        }
        // Steps that are switched off: nothing is subtracted, all is divided by 1.
        if config.get("do_normalize") == Some(&Value::Bool(false)) {
            (out.mean, out.std) = ([0.0; 3], [1.0; 3]);
        }
        if config.get("do_rescale") == Some(&Value::Bool(false)) {
            out.rescale_factor = 1.0;
        }
        Ok(out)
    }

    /// Channels first: `[3, height, width]`.
    pub(crate) fn apply(&self, image: &RgbImage) -> Vec<f32> {
        let area = (image.width() * image.height()) as usize;
        let mut out = vec![0.0; 3 * area];
        let tables: Vec<[f32; 256]> = (0..3)
            .map(|c| {
                std::array::from_fn(|level| {
                    let rescaled = (level as f64 * self.rescale_factor) as f32;
                    (rescaled - self.mean[c]) / self.std[c]
                })
            })
            .collect();
        for (at, pixel) in image.as_raw().chunks_exact(3).enumerate() {
            for (c, &level) in pixel.iter().enumerate() {
                out[c * area + at] = tables[c][usize::from(level)];
            }
        }
        out
    }
}

/// Refuses steps that are neither on nor off, and filters other than bicubic.
pub(crate) fn check_steps(config: &Value, steps: &[&str]) -> Result<(), Error> {
    // transformers' fast processors read null as their default, its slow ones as false.
    for field in steps {
        if config.get(field).is_some_and(|value| !value.is_boolean()) {
            let expected = "true or false (null means one to the fast image processors of transformers and the \
                            other to the slow ones)";
            return Err(bad(field, &config[field], expected));
        }
    }
    // Pillow's number of the filter.
    match config["resample"]
        .as_u64()
        .is_some_and(|filter| filter != 3)
    {
        true => Err(bad("resample", &config["resample"], "3 (bicubic)")),
        false => Ok(()),
    }
}

/// A field that cannot be used.
pub(crate) fn bad(field: &str, found: &Value, expected: &str) -> Error {
    Error::config("preprocessor_config.json cannot be used")
        .field(field)
        .found(found)
        .expected(expected)
}

/// A whole number from 1 to `limit`, where the field is there.
pub(crate) fn whole_number(
    field: &str,
    value: &Value,
    limit: u64,
    into: &mut usize,
) -> Result<(), Error> {
    match value {
        Value::Null => Ok(()),
        value => match value.as_u64().filter(|&n| n > 0 && n <= limit) {
            Some(n) => {
                *into = n as usize;
                Ok(())
            }
            None => {
                let expected = format!("a whole number from 1 to {limit}");
                Err(bad(field, value, &expected))
            }
        },
    }
}

/// The shortest decimal number that reads back as `value`.
pub(crate) fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}
