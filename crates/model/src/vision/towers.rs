//! The vision towers that there are.

use percept_weights::Specs;
use std::sync::Arc;

use crate::VisionConfig;
use crate::vision::llava::LlavaTower;
use crate::vision::qwen2vl::Qwen2VlTower;
use crate::vision::tower::Tower;

/// The tower of a configuration; its parameters go to `specs`.
pub(crate) fn tower(config: &VisionConfig, specs: &mut Specs) -> Arc<dyn Tower> {
    match config {
        VisionConfig::Qwen2Vl(config) => Arc::new(Qwen2VlTower::new(config, specs)),
        VisionConfig::Llava(config) => Arc::new(LlavaTower::new(config, specs)),
    }
}
