//! A request and an answer in the JSON of `/v1/chat/completions`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percept_data::{Media, Part, media_type};
use percept_http::ErrorBody;
use serde_json::{Map, Value, json};

use crate::{ChatError, ChatFinish, ChatReply, ChatRequest, TokenLogProb};

/// The body of a request. Images are data URLs; a video is its frames, one after the other. What
/// equals the API's own default is left out, because some models refuse the field.
pub(crate) fn body(
    request: &ChatRequest,
    model: &str,
    length_field: &str,
    extra: &Map<String, Value>,
) -> Result<Value, ChatError> {
    let mut messages = Vec::new();
    for message in request.turns() {
        let mut parts = Vec::new();
        for part in &message.content {
            match part {
                Part::Text(text) => parts.push(json!({"type": "text", "text": text})),
                Part::Image(at) => parts.extend(image(request.images.get(*at))?),
                Part::Video(at) => {
                    let video = request.videos.get(*at);
                    for frame in video.map_or(&[][..], |video| &video.frames) {
                        parts.extend(image(Some(frame))?);
                    }
                }
            }
        }
        // Servers of text models know no lists.
        let content = match parts.iter().all(|part| part["type"] == "text") {
            true => Value::String(message.plain_text()),
            false => Value::Array(parts),
        };
        messages.push(json!({"role": message.role.as_str(), "content": content}));
    }
    let turn = &request.turn;
    let mut body = json!({"model": model, "messages": messages, length_field: turn.max_tokens});
    if turn.temperature != 1.0 {
        body["temperature"] = decimal(turn.temperature);
    }
    if turn.top_p != 1.0 {
        body["top_p"] = decimal(turn.top_p);
    }
    if !turn.stop.is_empty() {
        body["stop"] = json!(turn.stop);
    }
    if let Some(seed) = turn.seed {
        body["seed"] = seed.into();
    }
    if turn.top_logprobs > 0 {
        body["logprobs"] = true.into();
        body["top_logprobs"] = turn.top_logprobs.into();
    }
    for (name, value) in extra {
        body[name] = value.clone();
    }
    Ok(body)
}

/// 0.7 and not 0.699999988079071.
fn decimal(value: f32) -> Value {
    value.to_string().parse::<f64>().unwrap_or(1.0).into()
}

fn image(media: Option<&Media>) -> Result<Option<Value>, ChatError> {
    let Some(media) = media else { return Ok(None) };
    let bytes = media.outgoing()?;
    let kind = media_type(&bytes).unwrap_or("image/png");
    let url = format!("data:{kind};base64,{}", STANDARD.encode(&bytes));
    Ok(Some(
        json!({"type": "image_url", "image_url": {"url": url}}),
    ))
}

/// What stands in the body of an answer.
pub(crate) enum Answer {
    Reply(ChatReply),
    /// `{"error": {"message": …, "code": 429}}`, which some servers send with status 200.
    Error(ErrorBody),
}

/// Reads the body of an answer; `Err` says what is wrong with it.
pub(crate) fn answer(bytes: &[u8]) -> Result<Answer, String> {
    let body: Value =
        serde_json::from_slice(bytes).map_err(|e| format!("the body is not JSON: {e}"))?;
    if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
        return Ok(Answer::Error(ErrorBody::of_value(error)));
    }
    let Some(choice) = body["choices"].get(0) else {
        return Err("the body has no choices[0]".into());
    };
    let message = &choice["message"];
    let text = match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|p| p["text"].as_str()).collect(),
        Value::Null => message["refusal"].as_str().unwrap_or_default().to_owned(),
        _ => return Err("choices[0].message.content is no text".into()),
    };
    let Some(finish) = choice["finish_reason"].as_str() else {
        return Err("choices[0] has no finish_reason: the answer is not complete".into());
    };
    let reasoning = ["reasoning_content", "reasoning"]
        .iter()
        .find_map(|name| message[name].as_str());
    let count = |name: &str| body["usage"][name].as_u64().unwrap_or(0);
    Ok(Answer::Reply(ChatReply {
        text,
        reasoning: reasoning.filter(|r| !r.is_empty()).map(str::to_owned),
        finish_reason: match finish {
            "stop" => ChatFinish::Stop,
            "length" => ChatFinish::Length,
            "content_filter" => ChatFinish::ContentFilter,
            other => ChatFinish::Other(other.to_owned()),
        },
        first_token: first_token(&choice["logprobs"]),
        prompt_tokens: count("prompt_tokens"),
        completion_tokens: count("completion_tokens"),
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        cached: false,
    }))
}

/// The alternatives at the first token; none where the server gives none.
fn first_token(logprobs: &Value) -> Vec<TokenLogProb> {
    let listed = logprobs["content"][0]["top_logprobs"].as_array();
    let read = |entry: &Value| serde_json::from_value(entry.clone()).ok();
    listed.into_iter().flatten().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Turn;
    use percept_data::{Message, Role, Sample};

    fn request() -> ChatRequest {
        let mut sample = Sample::new(
            "row",
            vec![
                Message::text(Role::System, "look"),
                Message::new(
                    Role::User,
                    vec![Part::Image(0), Part::Text("how many?".into())],
                ),
                Message::text(Role::Assistant, "the old answer"),
            ],
        );
        sample.images = vec![Media::from_bytes(vec![0xff, 0xd8, 0xff])];
        ChatRequest::of(&sample, Turn::default())
    }

    #[test]
    fn a_request_holds_images_as_data_urls_and_no_old_answer() {
        let body = body(&request(), "m", "max_tokens", &Map::new()).unwrap();
        let parts = json!([
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/"}},
            {"type": "text", "text": "how many?"},
        ]);
        let messages = json!([
            {"role": "system", "content": "look"},
            {"role": "user", "content": parts},
        ]);
        assert_eq!(
            body,
            json!({"model": "m", "messages": messages, "max_tokens": 2048})
        );
    }

    #[test]
    fn options_are_sent_where_they_differ_from_the_default() {
        let mut request = request();
        request.turn.temperature = 0.7;
        request.turn.seed = Some(3);
        request.turn.candidate = 5;
        request.turn.top_logprobs = 20;
        let extra = json!({"reasoning_effort": "high"});
        let body = body(
            &request,
            "m",
            "max_completion_tokens",
            extra.as_object().unwrap(),
        )
        .unwrap();
        assert_eq!(body["temperature"].to_string(), "0.7");
        assert_eq!(body["seed"], 3);
        assert_eq!(
            (&body["logprobs"], &body["top_logprobs"]),
            (&json!(true), &json!(20))
        );
        assert_eq!(body["reasoning_effort"], "high");
        assert_eq!(body["max_completion_tokens"], 2048);
        assert!(body.get("candidate").is_none() && body.get("max_tokens").is_none());
    }

    #[test]
    fn the_key_sees_what_changes_the_answer_and_nothing_else() {
        let by = json!("m");
        let key = request().key(&by).unwrap();
        let mut other = request();
        other.id = "another name".into();
        other.messages[2] = Message::text(Role::Assistant, "another old answer");
        assert_eq!(other.key(&by).unwrap(), key);
        assert_ne!(request().key(&json!("n")).unwrap(), key);
        let changes: [fn(&mut ChatRequest); 4] = [
            |r| r.turn.candidate = 1,
            |r| r.turn.max_tokens = 9,
            |r| r.images[0] = Media::from_bytes(vec![0xff, 0xd8, 2]),
            |r| r.messages[0] = Message::text(Role::System, "think"),
        ];
        for change in changes {
            let mut other = request();
            change(&mut other);
            assert_ne!(other.key(&by).unwrap(), key);
        }
    }

    #[test]
    fn answers_of_many_servers_are_read() {
        let reply = |text: &str| match answer(text.as_bytes()) {
            Ok(Answer::Reply(reply)) => reply,
            Ok(Answer::Error(error)) => panic!("{error:?}"),
            Err(why) => panic!("{why}"),
        };
        let r = reply(
            r#"{"model":"m-1","choices":[{"finish_reason":"length","message":{"content":"a","reasoning_content":"b"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
        );
        assert_eq!(r.trajectory(), "<think>\nb\n</think>\n\na");
        assert_eq!((r.prompt_tokens, r.completion_tokens), (3, 4));
        assert_eq!(r.finish_reason, ChatFinish::Length);
        let r = reply(
            r#"{"choices":[{"finish_reason":"stop","message":{"content":"Yes"},"logprobs":{"content":[{"token":"Yes","logprob":-0.5,"top_logprobs":[{"token":"Yes","logprob":-0.5,"bytes":[89]},{"token":"No","logprob":-1}]}]}}]}"#,
        );
        let first: Vec<(&str, f64)> = r
            .first_token
            .iter()
            .map(|t| (t.token.as_str(), t.logprob))
            .collect();
        assert_eq!(first, [("Yes", -0.5), ("No", -1.0)]);
        let r = reply(
            r#"{"choices":[{"finish_reason":"stop","message":{"content":null,"refusal":"no"}}]}"#,
        );
        assert_eq!(r.trajectory(), "no");
        for broken in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":[{"message":{"content":"a"}}]}"#,
        ] {
            assert!(answer(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
