//! `percept eval BENCHMARK`: published benchmarks of hallucination and of long texts.

mod amber;
mod causal;
mod chair;
mod compare;
mod ground;
mod long;
mod mmhal;
mod object_halbench;
mod output;
mod pope;
mod scenes;

use crate::shared::subcommands;

subcommands! {
    /// Published benchmarks.
    pub enum Benchmark {
        #[command(name = "causal-halbench")]
        Causal(causal::CausalArgs),
        Pope(pope::PopeArgs),
        Chair(chair::ChairArgs),
        ObjectHalbench(object_halbench::ObjectHalbenchArgs),
        Amber(amber::AmberArgs),
        Scenes(scenes::ScenesArgs),
        Mmhal(mmhal::MmhalArgs),
        Long(long::LongArgs),
    }
}
