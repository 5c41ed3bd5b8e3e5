//! Judging clips over HTTP, for best-of-N and for trainers that ask a reward server.
//!
//! | request | whose form | clips | answer |
//! |---|---|---|---|
//! | `POST /score` | ours | `{"clips": [{"prompt", "video" \| "frames", "fps"}]}` | `{"scores": […], "results": […]}` |
//! | `POST /reward` | verl's reward API | `{"solutions": [clip…], "metadata": {"prompts": […]}}` | `{"scores": […]}` |
//! | `POST /get_reward` | OpenRLHF's, for reward functions of TRL | `{"query": [clip…], "prompts": […]}` | `{"rewards": […]}` |
//! | `POST /v1/chat/completions` | vLLM's, as UnifiedReward's clients and verl's generative reward models ask it | images or a video, and the prompt as text | a completion whose text is a judgement |
//! | `GET /health` | vLLM's | – | `{"status": "ok", "waiting": …}` |
//!
//! A clip is the name of a file below `--videos`, a `data:` URL or base64 of a file, or an object as in `/score`. Frames that a
//! client sends are all judged; of a video, frames are chosen as everywhere. Clips of all requests that wait are judged
//! together.

mod answers;
mod clips;
mod requests;
mod service;

pub use service::{Config, RewardService};
