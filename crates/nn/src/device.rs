//! Device names of recipes and command lines.

use burn::tensor::{Device, DeviceType};

use crate::Error;

/// Kinds of devices of this build beside the CPU.
const KINDS: &[(&str, DeviceType)] = &[
    #[cfg(feature = "cuda")]
    ("cuda", DeviceType::Cuda),
    #[cfg(feature = "rocm")]
    ("rocm", DeviceType::Rocm),
    #[cfg(feature = "metal")]
    ("metal", DeviceType::Metal),
    #[cfg(feature = "vulkan")]
    ("vulkan", DeviceType::Vulkan),
    #[cfg(feature = "wgpu")]
    ("wgpu", DeviceType::Wgpu),
];

/// The device of a name: `cpu`, or `KIND[:INDEX]` with `vulkan`, `cuda`, `rocm`, `metal`, `wgpu`,
/// each behind the cargo feature of that name. An index counts what the machine offers of that
/// kind, cards before integrated and software adapters; 0 when left out.
///
/// # Errors
/// [`Error::Device`] listing what this build finds on this machine.
///
/// ```
/// assert!(percept_nn::parse_device("cpu").is_ok());
/// assert!(percept_nn::parse_device("abacus").is_err());
/// ```
pub fn parse_device(name: &str) -> Result<Device, Error> {
    if name == "cpu" {
        return Ok(Device::flex());
    }
    let (kind, index) = match name.split_once(':') {
        None => (name, Some(0)),
        Some((kind, index)) => (kind, index.parse::<usize>().ok()),
    };
    let known = KINDS.iter().find(|(known, _)| *known == kind);
    let found = known.map(|(_, kind)| Device::enumerate(kind.clone()));
    let device = found
        .zip(index)
        .and_then(|(found, index)| found.get(index).cloned());
    device.ok_or_else(|| Error::Device {
        found: name.to_owned(),
        available: device_names().join(", "),
    })
}

/// Names of all devices that this build finds on this machine; the CPU is the first.
pub fn device_names() -> Vec<String> {
    let others = KINDS.iter().flat_map(|(name, kind)| {
        let count = Device::enumerate(kind.clone()).len();
        (0..count).map(move |index| format!("{name}:{index}"))
    });
    std::iter::once("cpu".to_owned()).chain(others).collect()
}

/// What the driver calls a device; `None` for the CPU. Opens the device.
pub fn device_model(device: &Device) -> Option<String> {
    #[cfg(any(
        feature = "cuda",
        feature = "rocm",
        feature = "metal",
        feature = "vulkan",
        feature = "wgpu"
    ))]
    return device.identity().map(|identity| identity.name);
    #[cfg(not(any(
        feature = "cuda",
        feature = "rocm",
        feature = "metal",
        feature = "vulkan",
        feature = "wgpu"
    )))]
    {
        let _ = device;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_refused_with_what_there_is() {
        for name in ["tpu", "cpu:0", "cuda:x", "vulkan:99", "", "libtorch"] {
            let message = parse_device(name).unwrap_err().to_string();
            assert!(
                message.contains(&format!("{name:?}")) && message.contains("cpu"),
                "{message}"
            );
        }
    }

    #[test]
    fn every_name_of_the_list_is_a_device() {
        for name in device_names() {
            let device = parse_device(&name).unwrap();
            assert_eq!(device == Device::flex(), name == "cpu", "{name}");
        }
    }
}
