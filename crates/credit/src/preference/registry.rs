//! The registry of preference losses.

use super::{
    AdaVip, Chip, Dama, Dpo, Halva, Ipo, MDpo, Opa, Orpo, PairLoss, PreferenceNeeds, Robust, SDpo,
    SimPo, VDpo,
};
use crate::{Error, registry::methods};

methods! {
    /// Preference loss and its options: `"adavip"` or `{ name = "adavip", … }`.
    PreferenceConfig dispatches to PairLoss:
    "dpo" => Dpo,
    "ipo" => Ipo,
    "robust" => Robust,
    "simpo" => SimPo,
    "orpo" => Orpo,
    "sdpo" => SDpo,
    "adavip" => AdaVip,
    "mdpo" => MDpo,
    "vdpo" => VDpo,
    "opa" => Opa,
    "chip" => Chip,
    "halva" => Halva,
    "dama" => Dama,
}

impl Default for PreferenceConfig {
    fn default() -> Self {
        Self::Dpo(Dpo::default())
    }
}

impl PreferenceConfig {
    /// Refuses options outside their range; [`super::preference_loss`] does so too.
    pub fn check(&self) -> Result<(), Error> {
        self.method().check()
    }

    /// Weight of the tokens in which chosen and rejected answer differ, where the trainer is told none.
    pub fn segment_weight(&self) -> f64 {
        self.method().segment_weight()
    }

    /// What a trainer must compute for it.
    pub fn needs(&self) -> PreferenceNeeds {
        self.method().needs()
    }
}
