//! The endpoint against a server that drops, delays, truncates, garbles and limits.
#![allow(clippy::unwrap_used, missing_docs)]

mod mock;

use std::time::{Duration, Instant};

use mock::{Act, Mock, Seen};
use percept_chat::{
    Cached, ChatError, ChatModel, ChatRequest, Endpoint, EndpointConfig, Prices, Recorded, Turn,
};
use percept_data::{Message, Role, Sample};
use percept_http::{HttpError, RetryPolicy};

fn config(mock: &Mock) -> EndpointConfig {
    let mut config = EndpointConfig::new(&mock.url, "m");
    config.client.key = None;
    config.client.timeout = Duration::from_millis(400);
    config.client.retry = RetryPolicy {
        first: Duration::from_millis(2),
        ..RetryPolicy::default()
    };
    config.client.max_concurrency = 8;
    config.prices = Prices {
        input: 1.0,
        output: 10.0,
    };
    config
}

fn endpoint(mock: &Mock) -> Endpoint {
    Endpoint::new(config(mock)).unwrap()
}

fn request(text: &str) -> ChatRequest {
    let sample = Sample::new(text, vec![Message::text(Role::User, text)]);
    ChatRequest::of(&sample, Turn::default())
}

fn questions(count: usize) -> Vec<ChatRequest> {
    (0..count).map(|i| request(&i.to_string())).collect()
}

/// Question `q`'s attempts fail in ways that depend on `q`, twice for every third.
fn unruly(seen: &Seen, attempt: usize) -> Act {
    let text = seen.question();
    let q: usize = text.parse().unwrap();
    if attempt > usize::from(q.is_multiple_of(3)) || q % 8 == 7 {
        return Act::Reply(format!("answer {text}"));
    }
    match (q + attempt) % 8 {
        0 => Act::Drop,
        1 => Act::Late(Duration::from_millis(700), "too late".into()),
        2 => Act::Truncate(text),
        3 => Act::TruncateChunked(text),
        4 => Act::Malformed,
        5 => Act::Status(429, "retry-after: 0\r\n", "{}".into()),
        6 => Act::Status(500, "", "oops".into()),
        _ => Act::Status(
            200,
            "",
            r#"{"error": {"message": "overloaded", "code": 503}}"#.into(),
        ),
    }
}

#[test]
fn nothing_is_lost_whatever_the_server_does() {
    let mock = Mock::start(unruly);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answers.jsonl");
    let model = Cached::open(endpoint(&mock), &path).unwrap();
    let requests = questions(96);
    let start = Instant::now();
    for (request, answer) in requests.iter().zip(model.chat(&requests)) {
        assert_eq!(answer.unwrap().text, format!("answer {}", request.id));
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    let usage = model.usage();
    assert_eq!(usage.replies, 96);
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (9600, 960));
    assert!((usage.cost - 0.0192).abs() < 1e-12);
    let retries: u64 = usage.retries.values().sum();
    assert_eq!(usage.requests, 96 + retries);
    assert_eq!(mock.seen().len() as u64, usage.requests);
    for kind in ["connection", "timeout", "body", "429", "500", "503"] {
        assert!(
            usage.retries.contains_key(kind),
            "{kind}: {:?}",
            usage.retries
        );
    }
    assert!(mock.most_busy() <= 16, "{}", mock.most_busy());
    // A second look reads the file alone, by the same model or a player.
    assert!(model.chat(&requests).into_iter().all(|a| a.unwrap().cached));
    assert_eq!(model.usage().requests, usage.requests);
    let identity = model.identity();
    drop(model);
    let player = Recorded::open(&path, identity).unwrap();
    for (request, answer) in requests.iter().zip(player.chat(&requests)) {
        assert_eq!(answer.unwrap().text, format!("answer {}", request.id));
    }
    assert_eq!(mock.seen().len() as u64, usage.requests);
}

#[test]
fn a_refusal_is_reported_at_once_in_the_servers_words_and_without_the_key() {
    const KEY: (&str, &str) = ("PERCEPT_API_KEY", "sk-very-secret");
    // The only way in is the environment: this test runs itself again in a process that has the key.
    if std::env::var(KEY.0).ok().as_deref() != Some(KEY.1) {
        let test = "a_refusal_is_reported_at_once_in_the_servers_words_and_without_the_key";
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let again = again.args(["--exact", test]).env(KEY.0, KEY.1).output();
        let again = again.unwrap();
        let said = String::from_utf8_lossy(&again.stdout);
        assert!(
            again.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    for status in [400, 401, 404, 422] {
        let mock = Mock::start(move |seen, _| {
            let key = seen.authorization.clone().unwrap();
            assert_eq!(key, "Bearer sk-very-secret");
            let body = format!(r#"{{"error": {{"message": "no: {key}"}}}}"#);
            Act::Status(status, "", body)
        });
        let mut config = config(&mock);
        config.client.key = percept_http::ApiKey::from_env();
        let endpoint = Endpoint::new(config).unwrap();
        let error = endpoint.ask(&request("7")).unwrap_err();
        let text = format!("{error} {error:?} {endpoint:?}");
        assert!(text.contains("no: Bearer ***"), "{text}");
        assert!(!text.contains("very-secret"), "{text}");
        assert!(text.contains(&format!("HTTP {status}")), "{text}");
        assert_eq!(error.is_final(), matches!(status, 401 | 404));
        assert_eq!(mock.seen().len(), 1);
    }
}

#[test]
fn retry_after_holds_all_requests_and_a_very_long_one_ends_them() {
    let mock = Mock::start(|seen, attempt| match (seen.question().as_str(), attempt) {
        ("0", 0) => Act::Status(429, "retry-after: 1\r\n", "{}".into()),
        ("long", _) => Act::Status(503, "Retry-After: 86400\r\n", "{}".into()),
        _ => Act::Reply("ok".into()),
    });
    let endpoint = endpoint(&mock);
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| endpoint.ask(&request("0")).unwrap());
        std::thread::sleep(Duration::from_millis(200));
        endpoint.ask(&request("1")).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(950));
    });
    assert!(start.elapsed() < Duration::from_secs(5));
    let error = endpoint.ask(&request("long")).unwrap_err();
    assert!(
        matches!(
            error,
            ChatError::Http(HttpError::Wait {
                seconds: 86_400,
                ..
            })
        ),
        "{error}"
    );
}

#[test]
fn a_server_that_stays_broken_is_given_up_with_its_last_word() {
    let mock = Mock::start(|_, _| Act::Status(502, "", "bad gateway".into()));
    let mut config = config(&mock);
    config.client.retry.attempts = 3;
    let error = Endpoint::new(config)
        .unwrap()
        .ask(&request("x"))
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("3 attempts") && text.contains("502: bad gateway"),
        "{text}"
    );
    assert_eq!(mock.seen().len(), 3);
    drop(mock);
}

#[test]
fn limits_of_concurrency_and_rate_hold() {
    let mock = Mock::start(|_, _| Act::Late(Duration::from_millis(20), "ok".into()));
    let mut three = config(&mock);
    three.client.max_concurrency = 3;
    let endpoint = Endpoint::new(three).unwrap();
    assert!(endpoint.chat(&questions(24)).iter().all(Result::is_ok));
    assert_eq!(mock.most_busy(), 3);
    let mut slow = config(&mock);
    slow.client.requests_per_minute = Some(1200.0);
    let endpoint = Endpoint::new(slow).unwrap();
    let start = Instant::now();
    assert!(endpoint.chat(&questions(11)).iter().all(Result::is_ok));
    assert!(
        start.elapsed() >= Duration::from_millis(500),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn the_name_of_the_length_limit_is_learned_once() {
    let mock = Mock::start(|seen, _| match seen.body.get("max_tokens") {
        Some(_) => {
            let message = "Unsupported parameter: use 'max_completion_tokens' instead.";
            Act::Status(
                400,
                "",
                format!(r#"{{"error": {{"message": "{message}"}}}}"#),
            )
        }
        None => Act::Reply("ok".into()),
    });
    let endpoint = endpoint(&mock);
    for request in questions(4) {
        endpoint.ask(&request).unwrap();
    }
    assert_eq!(mock.seen().len(), 5);
    assert_eq!(mock.seen()[0].path, "/v1/chat/completions");
}

#[test]
fn a_server_that_speaks_no_tls_is_an_error_and_no_panic() {
    let mock = Mock::start(|_, _| Act::Reply("ok".into()));
    let mut config = config(&mock);
    config.url = mock.url.replace("http://", "https://");
    config.client.retry.attempts = 2;
    let endpoint = Endpoint::new(config).unwrap();
    let error = endpoint.ask(&request("x")).unwrap_err();
    assert!(
        matches!(
            error,
            ChatError::Http(HttpError::Exhausted { attempts: 2, .. })
        ),
        "{error}"
    );
}

/// M7: a certificate that nobody vouches for does not become better by asking eight times a question.
#[test]
fn a_certificate_that_is_not_trusted_ends_it_at_the_first_attempt() {
    use std::io::{Read, Write};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

    let certificate = include_bytes!("fixtures/self-signed.cert.der");
    let key = include_bytes!("fixtures/self-signed.key.der");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(&certificate[..])],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(&key[..])),
        )
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let visits = Arc::new(AtomicUsize::new(0));
    let (server, counted) = (Arc::new(server), Arc::clone(&visits));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut session = rustls::ServerConnection::new(Arc::clone(&server)).unwrap();
            let mut tls = rustls::Stream::new(&mut session, &mut stream);
            let _ = tls.read(&mut [0; 64]);
            let _ = tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        }
    });
    let mut config = EndpointConfig::new(format!("https://127.0.0.1:{port}"), "m");
    config.client.retry.attempts = 8;
    config.client.retry.first = Duration::from_millis(1);
    let endpoint = Endpoint::new(config).unwrap();
    let error = endpoint.ask(&request("x")).unwrap_err();
    assert!(error.is_final(), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(visits.load(Ordering::SeqCst), 1, "{error}");
}

/// A key in the address is shown in no error, and one that a server repeats is kept in no answer.
#[test]
fn a_key_in_the_address_or_in_an_answer_stays_secret() {
    for status in [200, 400, 503] {
        let mock = Mock::start(move |_, _| match status {
            200 => Act::Reply("your key is query-secret, said I".into()),
            _ => Act::Status(
                status,
                "",
                r#"{"error": {"message": "query-secret is no key"}}"#.into(),
            ),
        });
        let mut config = config(&mock);
        config.url = format!(
            "{}/v1?api-version=2024-10-21&api-key=query-secret",
            mock.url
        );
        config.client.retry.attempts = 2;
        let endpoint = Endpoint::new(config).unwrap();
        let answer = endpoint.ask(&request("x"));
        let text = match &answer {
            Ok(reply) => reply.text.clone(),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!text.contains("query-secret"), "{text}");
        match status {
            200 => assert_eq!(text, "your key is ***, said I"),
            _ => assert!(
                text.contains("api-version=2024-10-21&api-key=***"),
                "{text}"
            ),
        }
        assert!(mock.seen()[0].path.ends_with("api-key=query-secret"));
    }
}

/// M7: what is no address is said before anything is sent.
#[test]
fn malformed_addresses_are_refused_without_an_attempt() {
    for bad in [
        "http://h:99999/v1",
        "http://h:abc",
        "http://a b/v1",
        "https://[::1/v1",
        "http://a..b",
        "http://h/\u{1b}[2J",
    ] {
        let error = Endpoint::new(EndpointConfig::new(bad, "m")).unwrap_err();
        assert!(error.is_final(), "{bad}: {error}");
    }
    let error = Endpoint::new(EndpointConfig::new(
        "http://h:99999?api-key=secret-word",
        "m",
    ));
    assert!(!error.unwrap_err().to_string().contains("secret-word"));
}
