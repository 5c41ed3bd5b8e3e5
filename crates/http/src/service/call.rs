//! A request with its body, read within the limits.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{HOST, HeaderMap, ORIGIN};
use percept_base::lock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::answer::Answer;
use super::limits::Limits;
use crate::server::{is_local, is_local_origin};

/// How often a body on its way looks whether the service stops.
const POLL: Duration = Duration::from_millis(100);
/// How long the body of a refused request is read and dropped: a client that is still sending would not see the refusal.
const LINGER: Duration = Duration::from_secs(2);

/// A request.
#[derive(Debug)]
pub struct Call {
    /// `GET`, `POST`, ….
    pub method: String,
    /// Path, without parameters.
    pub path: String,
    /// The whole body.
    pub body: Vec<u8>,
    /// Its place among the bytes that the service holds: kept until the work on it is done.
    pub room: Room,
}

/// A share of the bytes that a service may hold; given back when it is dropped.
#[derive(Debug, Default)]
pub struct Room(std::sync::Mutex<Option<OwnedSemaphorePermit>>);

impl Room {
    /// Takes more; false where there is none.
    fn grow(&self, room: &Arc<Semaphore>, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else {
            return false;
        };
        let Ok(more) = Arc::clone(room).try_acquire_many_owned(bytes) else {
            return false;
        };
        let mut held = lock(&self.0);
        match held.as_mut() {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        true
    }
}

/// Where a request came in.
pub(super) struct Door<'a> {
    pub limits: &'a Limits,
    /// Bytes that are free.
    pub room: &'a Arc<Semaphore>,
    /// Whether only this machine may ask.
    pub local: bool,
    /// Whether the service stops.
    pub stopping: &'a (dyn Fn() -> bool + Send + Sync),
}

impl Door<'_> {
    /// Reads a request, or says why not.
    pub(super) async fn read(&self, request: hyper::Request<Incoming>) -> Result<Call, Answer> {
        let (head, mut body) = request.into_parts();
        let read = match foreign(&head.headers).filter(|_| self.local) {
            Some(message) => Err(Answer::error(403, message)),
            None => self.body(&mut body).await,
        };
        match read {
            Ok((body, room)) => Ok(Call {
                method: head.method.as_str().to_owned(),
                path: head.uri.path().to_owned(),
                body,
                room,
            }),
            Err(refusal) => {
                let _ = timeout_at(Instant::now() + LINGER, drop_rest(&mut body)).await;
                Err(refusal)
            }
        }
    }

    async fn body(&self, body: &mut Incoming) -> Result<(Vec<u8>, Room), Answer> {
        let limit = self.limits.body_bytes;
        let too_large = || {
            let message = format!("the body is larger than {limit} bytes");
            Answer::error(413, &message)
        };
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large());
        }
        let deadline = Instant::now() + self.limits.body_timeout;
        // Room is taken as bytes arrive: who announces much and sends nothing holds nothing.
        let (mut bytes, room) = (Vec::new(), Room::default());
        loop {
            if (self.stopping)() {
                return Err(Answer::error(503, "the service is stopping"));
            }
            let frame = match timeout_at(deadline.min(Instant::now() + POLL), body.frame()).await {
                Ok(frame) => frame,
                Err(_) if Instant::now() < deadline => continue,
                Err(_) => return Err(Answer::error(408, "the body did not arrive in time")),
            };
            let Some(frame) = frame else {
                return Ok((bytes, room));
            };
            let frame = frame.map_err(|_| Answer::error(400, "the body broke off"))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > limit {
                return Err(too_large());
            }
            if !room.grow(self.room, data.len()) {
                let message =
                    "the requests that wait hold all of the memory that there is for them";
                return Err(Answer::busy(message, Duration::from_secs(1)));
            }
            bytes.extend_from_slice(&data);
        }
    }
}

async fn drop_rest(body: &mut Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// Why a request for this machine alone is not answered: a page elsewhere must neither reach us through a name that it points
/// at this machine nor ask in a browser's name.
fn foreign(headers: &HeaderMap) -> Option<&'static str> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if !text(HOST).is_some_and(is_local) {
        return Some("the Host header names another machine");
    }
    if text(ORIGIN).is_some_and(|origin| !is_local_origin(origin)) {
        return Some("the Origin header names a page of another machine");
    }
    None
}
