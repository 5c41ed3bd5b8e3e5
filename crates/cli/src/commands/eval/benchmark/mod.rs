//! `percept eval BENCHMARK`: published benchmarks of hallucination, of long texts and of video reward models.

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
mod video_reward;

use crate::shared::subcommands;
use video_reward::{genai, react_bench, videogen};

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
        ReactBench(react_bench::ReactBenchArgs),
        #[command(name = "videogen-rewardbench")]
        VideoGen(videogen::VideoGenArgs),
        #[command(name = "genai-bench")]
        GenAi(genai::GenAiArgs),
    }
}
