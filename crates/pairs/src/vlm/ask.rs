//! One question about one picture.

use image::RgbImage;
use percept_chat::{ChatModel, ChatRequest, Turn};
use percept_data::{Media, Message, Part, Role, Sample};
use percept_vision::Error;

/// Longest answer in tokens: some thirty boxes.
const MAX_TOKENS: usize = 1024;

/// Asks about a picture, greedily; one answer for each question, in their order.
pub(super) fn ask(
    model: &dyn ChatModel,
    image: &RgbImage,
    questions: &[String],
) -> Result<Vec<String>, Error> {
    let picture = Media::from_image(image.clone());
    let request = |question: &String| {
        let content = vec![Part::Image(0), Part::Text(question.clone())];
        let mut sample = Sample::new(question.as_str(), vec![Message::new(Role::User, content)]);
        sample.images.push(picture.clone());
        let turn = Turn {
            temperature: 0.0,
            max_tokens: MAX_TOKENS,
            ..Turn::default()
        };
        ChatRequest::of(&sample, turn)
    };
    let requests: Vec<ChatRequest> = questions.iter().map(request).collect();
    let size = model.calls().requests.max(1);
    let replies = requests.chunks(size).flat_map(|some| model.chat(some));
    let texts = replies.map(|reply| reply.map(|reply| reply.text));
    texts
        .collect::<Result<_, _>>()
        .map_err(|e| Error::Service(e.to_string()))
}
