//! What can be wrong with the name of a device.

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A device that this build does not have or does not find.
    #[error(
        "device {found:?} is not there; this build finds on this machine: {available}\n  help: build percept with the cargo feature of that device, for example --features vulkan, and install its driver"
    )]
    Device {
        /// What was asked for.
        found: String,
        /// What there is.
        available: String,
    },
}
