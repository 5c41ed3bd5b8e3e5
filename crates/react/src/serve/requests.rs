//! The bodies of requests: which clips, and in what form the answer is to come.

use serde_json::Value;

use super::clips::{Sources, clip, picture};
use crate::Error;
use crate::footage::Footage;
use crate::judge::Clip;

/// In what form a client wants its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// Ours.
    Score,
    /// verl's: `scores`.
    Reward,
    /// OpenRLHF's: `rewards`.
    GetReward,
    /// OpenAI's: a completion by this model.
    Chat(String),
}

impl Form {
    /// The form of a path.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/score" => Some(Self::Score),
            "/reward" => Some(Self::Reward),
            "/get_reward" => Some(Self::GetReward),
            "/v1/chat/completions" | "/chat/completions" => Some(Self::Chat(String::new())),
            _ => None,
        }
    }

    /// The clips of a body in this form.
    pub(super) fn clips(&mut self, body: &Value, sources: &Sources) -> Result<Vec<Clip>, Error> {
        let clips = match self {
            Self::Score => list(body, "clips", &Value::Null, sources)?,
            Self::Reward => list(body, "solutions", &body["metadata"]["prompts"], sources)?,
            Self::GetReward => list(body, "query", &body["prompts"], sources)?,
            Self::Chat(model) => {
                body["model"].as_str().unwrap_or_default().clone_into(model);
                vec![conversation(body, sources)?]
            }
        };
        match clips.is_empty() {
            true => Err(wrong("the request", "no clip".into(), "at least one")),
            false => Ok(clips),
        }
    }
}

fn wrong(what: &str, found: String, expected: &'static str) -> Error {
    Error::Clip {
        what: what.to_owned(),
        found,
        expected,
    }
}

/// A list of clips under `name`, and one of their prompts, or a single prompt for all.
fn list(body: &Value, name: &str, prompts: &Value, sources: &Sources) -> Result<Vec<Clip>, Error> {
    let missing = || wrong(name, "no list".into(), "a list of clips under this name");
    let clips = body[name].as_array().ok_or_else(missing)?;
    if let Some(prompts) = prompts.as_array()
        && prompts.len() != clips.len()
    {
        let found = format!("{} prompts for {} clips", prompts.len(), clips.len());
        return Err(wrong("prompts", found, "one for each clip"));
    }
    let one = |(at, value): (usize, &Value)| {
        let prompt = prompts.as_str().or_else(|| prompts[at].as_str());
        clip(value, prompt, &format!("{name}[{at}]"), sources)
    };
    clips.iter().enumerate().map(one).collect()
}

/// The clip of a conversation: the pictures, or the video, of the last turn of the user; its text is the prompt.
fn conversation(body: &Value, sources: &Sources) -> Result<Clip, Error> {
    if body["stream"].as_bool() == Some(true) {
        return Err(wrong(
            "stream",
            "true".into(),
            "false: the answer comes whole",
        ));
    }
    let turns = body["messages"].as_array();
    let turns = turns.ok_or_else(|| wrong("messages", "none".into(), "a list of turns"))?;
    let (at, turn) = turns
        .iter()
        .enumerate()
        .rfind(|(_, turn)| turn["role"] == "user")
        .ok_or_else(|| {
            wrong(
                "messages",
                "no turn of the user".into(),
                "one with the clip",
            )
        })?;
    let parts = turn["content"].as_array().map_or(&[][..], Vec::as_slice);
    let (mut frames, mut video, mut prompt) = (Vec::new(), None, String::new());
    for (number, part) in parts.iter().enumerate() {
        let place = format!("messages[{at}].content[{number}]");
        let url = |kind: &str| {
            let url = part[kind]["url"].as_str().or_else(|| part[kind].as_str());
            url.ok_or_else(|| wrong(&place, format!("no {kind}.url"), "a data: URL there"))
        };
        match part["type"].as_str().unwrap_or_default() {
            "text" => prompt.push_str(part["text"].as_str().unwrap_or_default()),
            "image_url" => frames.push(picture(url("image_url")?, &place)?),
            "video_url" if video.is_none() => {
                video = Some(sources.open(url("video_url")?, &place)?)
            }
            "video_url" => {
                return Err(wrong(&place, "a second video".into(), "one clip a request"));
            }
            other => {
                let expected = "text, image_url or video_url";
                return Err(wrong(&place, format!("type {other:?}"), expected));
            }
        }
    }
    let footage = match (video, frames.is_empty()) {
        (Some(video), true) => video,
        (None, false) => Footage::chosen_frames(frames, f64::from(percept_data::DEFAULT_FPS))?,
        (Some(_), false) => {
            return Err(wrong(
                "messages",
                "a video and pictures".into(),
                "one of them",
            ));
        }
        (None, true) => return Err(wrong("messages", "no picture".into(), "a clip to judge")),
    };
    Ok(Clip {
        name: format!("messages[{at}]"),
        prompt,
        footage,
    })
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use percept_data::Media;
    use serde_json::json;

    use super::*;

    fn frame() -> String {
        use base64::Engine;
        let png = Media::from_image(RgbImage::new(4, 4)).encoded().unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(png);
        format!("data:image/png;base64,{text}")
    }

    fn read(path: &str, body: &Value) -> Result<Vec<Clip>, String> {
        let mut form = Form::of(path).unwrap();
        form.clips(body, &Sources::default())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn every_form_gives_the_same_clips() {
        let clip = json!({"frames": [frame(), frame()], "fps": 4});
        let picture = json!({"type": "image_url", "image_url": {"url": frame()}});
        let content = json!([picture, picture, {"type": "text", "text": "a dog"}]);
        let own = json!({"prompt": "a dog", "frames": [frame(), frame()]});
        for (path, body) in [
            ("/score", json!({"clips": [own]})),
            (
                "/reward",
                json!({"solutions": [clip], "metadata": {"prompts": ["a dog"]}}),
            ),
            (
                "/get_reward",
                json!({"query": [clip], "prompts": ["a dog"]}),
            ),
            (
                "/v1/chat/completions",
                json!({"model": "m", "messages": [{"role": "user", "content": content}]}),
            ),
        ] {
            let clips = read(path, &body).unwrap();
            assert_eq!(
                (clips.len(), clips[0].prompt.as_str()),
                (1, "a dog"),
                "{path}"
            );
            assert_eq!(clips[0].footage.chosen().unwrap().len(), 2, "{path}");
        }
    }

    #[test]
    fn what_is_no_clip_is_named_by_its_place() {
        let url = json!({"frames": ["https://example.com/a.png"]});
        for (path, body, said) in [
            ("/score", json!({}), "clips: no list"),
            ("/score", json!({"clips": []}), "no clip"),
            ("/score", json!({"clips": [7]}), "clips[0]: a number"),
            (
                "/score",
                json!({"clips": [{"frames": []}]}),
                "at least one picture",
            ),
            (
                "/score",
                json!({"clips": [{"frames": [1]}]}),
                "clips[0].frames[0]",
            ),
            (
                "/score",
                json!({"clips": [{"frames": [frame()], "fps": 0}]}),
                "above 0",
            ),
            (
                "/score",
                json!({"clips": [{"frames": [frame()], "video": "x"}]}),
                "either",
            ),
            ("/score", json!({"clips": [url]}), "not fetched"),
            ("/score", json!({"clips": ["/etc/passwd"]}), "--videos"),
            (
                "/get_reward",
                json!({"query": ["a", "b"], "prompts": ["p"]}),
                "1 prompts for 2",
            ),
            (
                "/v1/chat/completions",
                json!({"messages": []}),
                "no turn of the user",
            ),
            (
                "/v1/chat/completions",
                json!({"stream": true, "messages": []}),
                "comes whole",
            ),
        ] {
            let error = read(path, &body).unwrap_err();
            assert!(error.contains(said), "{path}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_files_below_the_folder_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("videos"), folder.path().join("secret"));
        for clip in [inside.join("clip"), outside.clone()] {
            std::fs::create_dir_all(&clip).unwrap();
            RgbImage::new(2, 2).save(clip.join("1.png")).unwrap();
        }
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        let sources = Sources {
            videos: Some(inside.clone()),
        };
        assert!(sources.open("clip", "x").is_ok());
        assert!(
            sources
                .open(&format!("{}/clip", inside.display()), "x")
                .is_ok()
        );
        for name in ["../secret", "link", "none", &outside.display().to_string()] {
            assert!(sources.open(name, "x").is_err(), "{name}");
        }
    }
}
