//! Device names of recipes and command lines.

use burn::tensor::Device;

use crate::Error;

/// The device of a name: `cpu`, or `vulkan:0`, `cuda:0`, … when the build has that feature.
///
/// # Errors
/// [`Error::Device`] listing what this build has.
pub fn parse_device(name: &str) -> Result<Device, Error> {
    match name {
        "cpu" => Ok(Device::flex()),
        _ => Err(Error::Device { found: name.to_owned(), available: "cpu".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_refused_with_what_there_is() {
        assert!(parse_device("cpu").is_ok());
        let message = parse_device("tpu").unwrap_err().to_string();
        assert!(message.contains("\"tpu\"") && message.contains("cpu"), "{message}");
    }
}
