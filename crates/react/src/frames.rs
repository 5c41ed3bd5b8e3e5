//! Single frames.

use percept_chat::{ChatModel, ChatRequest};
use percept_data::Media;

use crate::Error;
use crate::options::Options;
use crate::question::request;
use crate::record::FrameRecord;

/// A frame that is to be judged.
#[derive(Debug, Clone)]
pub struct FrameTask {
    /// Which, for messages and records.
    pub id: String,
    /// What is asked about it.
    pub question: String,
    /// Its picture.
    pub image: Media,
}

/// Judges frames, all at once; the results are in their order.
pub fn judge_frames(
    model: &dyn ChatModel,
    frames: Vec<FrameTask>,
    options: &Options,
) -> Vec<Result<FrameRecord, Error>> {
    let one = |frame: FrameTask| {
        let asked = request(frame.id, &frame.question, frame.image, &options.turn);
        match &options.system {
            Some(system) => asked.with_system(system),
            None => asked,
        }
    };
    let requests: Vec<ChatRequest> = frames.into_iter().map(one).collect();
    let mut replies = model.chat(&requests);
    replies.resize_with(requests.len(), || Err(percept_chat::ChatError::Silent));
    replies
        .into_iter()
        .map(|reply| Ok(FrameRecord::of(0.0, 1, &reply?.trajectory())))
        .collect()
}
