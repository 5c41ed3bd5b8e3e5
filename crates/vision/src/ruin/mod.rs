//! Pictures made worse without looking at what they show: the rejected pictures of mDPO, CHiP, OPA-DPO and V-DPO.

mod blank;
mod crop;
mod diffusion_noise;
mod patches;
#[expect(
    clippy::module_inception,
    reason = "the trait and its folder are one thing"
)]
mod ruin;

pub use blank::Blank;
pub use crop::Crop;
pub use diffusion_noise::DiffusionNoise;
pub use patches::MaskedPatches;
pub use ruin::Ruin;
