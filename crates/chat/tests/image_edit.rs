//! The editor behind a server, against one that limits, breaks off and refuses: the form arrives
//! whole, failures that may pass are tried again, the key is never shown.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{Rgb, RgbImage};
use percept_chat::{EndpointConfig, ImageEndpoint};
use percept_data::coco::Mask;
use percept_http::RetryPolicy;
use percept_vision::{Edit, Editor, Error};

/// What a request brought: its head and its body.
type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A server that gives these answers, one after the other, the last one for ever.
fn server(answers: Vec<String>) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let seen: Seen = Arc::default();
    let store = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Some(request) = read(&stream) else {
                continue;
            };
            let mut seen = store.lock().unwrap();
            let answer = &answers[seen.len().min(answers.len() - 1)];
            seen.push(request);
            let _ = (&stream).write_all(answer.as_bytes());
        }
    });
    (url, seen)
}

fn read(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head += &line;
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn edited(colour: [u8; 3]) -> String {
    let mut png = std::io::Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(8, 8, Rgb(colour));
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let text = STANDARD.encode(png.into_inner());
    answer(
        "200 OK",
        &format!(r#"{{"data": [{{"b64_json": "{text}"}}]}}"#),
    )
}

fn editor(url: &str) -> ImageEndpoint {
    let mut config = EndpointConfig::new(url, "flux");
    config.client.key = None;
    config.client.retry = RetryPolicy {
        attempts: 4,
        first: Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    let fields = serde_json::json!({"size": "8x8", "steps": 28});
    config.extra_body = fields.as_object().unwrap().clone();
    ImageEndpoint::new(config).unwrap()
}

fn edit(editor: &ImageEndpoint) -> Result<RgbImage, Error> {
    let image = RgbImage::from_pixel(4, 4, Rgb([9, 8, 7]));
    let mask = Mask::from_fn(4, 4, |x, _| x > 1);
    let edited = editor.edit(&Edit {
        image: &image,
        mask: &mask,
        object: &mask,
        avoid: &mask,
        class: "bear",
        prompt: "a bear on skis",
        cutout: None,
        seed: 1,
    });
    edited.map(|edited| edited.image)
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_form_arrives_whole_and_passing_failures_are_tried_again() {
    let (url, seen) = server(vec![
        answer("429 Too Many Requests", r#"{"error": {"message": "slow"}}"#),
        answer("500 Oops", "oops"),
        answer("200 OK", r#"{"data": [{"b64_json": "iVBOR"#),
        edited([200, 100, 50]),
    ]);
    let editor = editor(&url);
    let image = edit(&editor).unwrap();
    assert_eq!(image.dimensions(), (8, 8));
    assert_eq!(image.get_pixel(3, 3).0, [200, 100, 50]);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    let (head, body) = &seen[3];
    assert!(head.starts_with("POST /v1/images/edits "), "{head}");
    assert!(head.contains("multipart/form-data; boundary="), "{head}");
    for part in [
        "name=\"model\"\r\n\r\nflux\r\n",
        "name=\"prompt\"\r\n\r\na bear on skis\r\n",
        "name=\"size\"\r\n\r\n8x8\r\n",
        "name=\"steps\"\r\n\r\n28\r\n",
        "name=\"image\"; filename=\"image.png\"",
        "name=\"mask\"; filename=\"mask.png\"",
    ] {
        assert!(holds(body, part.as_bytes()), "{part}");
    }
    // The same edit is the same bytes: servers may cache it.
    assert!(seen.iter().all(|(_, other)| other == body));
    assert_eq!(editor.identity()["model"], "flux");
}

#[test]
fn refusals_and_addresses_instead_of_images_are_not_tried_again() {
    let refused = answer(
        "400 Bad Request",
        r#"{"error": {"message": "mask too large"}}"#,
    );
    let (url, seen) = server(vec![refused]);
    let error = edit(&editor(&url)).unwrap_err().to_string();
    assert!(error.contains("mask too large"), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 1);
    let (url, seen) = server(vec![answer(
        "200 OK",
        r#"{"data": [{"url": "http://x/y.png"}]}"#,
    )]);
    let error = edit(&editor(&url)).unwrap_err().to_string();
    assert!(error.contains("response_format"), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 1);
}
