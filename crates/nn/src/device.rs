//! Device names of recipes and command lines.

use burn::tensor::Device;

use crate::Error;

/// The device of a name: `cpu`, `vulkan[:INDEX]`, `cuda[:INDEX]`, `rocm[:INDEX]`, `metal`, `wgpu`.
/// All but `cpu` need the cargo feature of that name; an index counts discrete graphics cards.
///
/// # Errors
/// [`Error::Device`] listing what this build has.
///
/// ```
/// assert!(percept_nn::parse_device("cpu").is_ok());
/// assert!(percept_nn::parse_device("abacus").is_err());
/// ```
pub fn parse_device(name: &str) -> Result<Device, Error> {
    let unknown = || Error::Device {
        found: name.to_owned(),
        available: BUILT.join(", "),
    };
    let (kind, index) = match name.split_once(':') {
        None => (name, None),
        Some((kind, index)) => (kind, Some(index.parse::<usize>().ok().ok_or_else(unknown)?)),
    };
    match (kind, index) {
        ("cpu", None) => Ok(Device::flex()),
        #[cfg(feature = "vulkan")]
        ("vulkan", index) => Ok(Device::vulkan(graphics(index))),
        #[cfg(feature = "cuda")]
        ("cuda", index) => Ok(Device::cuda(index.unwrap_or(0))),
        #[cfg(feature = "rocm")]
        ("rocm", index) => Ok(Device::rocm(index.unwrap_or(0))),
        #[cfg(feature = "metal")]
        ("metal", index) => Ok(Device::metal(graphics(index))),
        #[cfg(feature = "wgpu")]
        ("wgpu", index) => Ok(Device::wgpu(graphics(index))),
        _ => Err(unknown()),
    }
}

/// Devices that this build has.
const BUILT: &[&str] = &[
    "cpu",
    #[cfg(feature = "vulkan")]
    "vulkan[:INDEX]",
    #[cfg(feature = "cuda")]
    "cuda[:INDEX]",
    #[cfg(feature = "rocm")]
    "rocm[:INDEX]",
    #[cfg(feature = "metal")]
    "metal",
    #[cfg(feature = "wgpu")]
    "wgpu",
];

#[cfg(any(feature = "vulkan", feature = "metal", feature = "wgpu"))]
fn graphics(index: Option<usize>) -> burn::tensor::DeviceKind {
    match index {
        Some(index) => burn::tensor::DeviceKind::DiscreteGpu(index),
        None => burn::tensor::DeviceKind::DefaultDevice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_refused_with_what_there_is() {
        assert!(parse_device("cpu").is_ok());
        for name in ["tpu", "cpu:0", "cuda:x", "", "libtorch"] {
            let message = parse_device(name).unwrap_err().to_string();
            assert!(
                message.contains(&format!("{name:?}")) && message.contains("cpu"),
                "{message}"
            );
        }
    }
}
