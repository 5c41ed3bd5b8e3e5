//! The service: requests become clips, clips wait in a queue, one worker judges all that wait together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use percept_chat::ChatModel;
use percept_http::service::{
    Answer, Busy, Call, Limits, Queue, Service, Ticket, Worker, aside, queue,
};
use serde_json::json;

use super::answers::{Failed, Judged, answer};
use super::clips::Sources;
use super::requests::Form;
use crate::judge::{Clip, judge};
use crate::options::Options;

/// How clients are served.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bytes, connections and deadlines.
    pub limits: Limits,
    /// Clips that wait or are being judged; further ones are refused.
    pub max_queue: usize,
    /// Clips that are judged together.
    pub batch: usize,
    /// The folder below which clients may name files.
    pub videos: Option<PathBuf>,
    /// The score of a clip that has none, where a client's form has no place for errors; else the request fails.
    pub fallback: Option<f64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_queue: 256,
            batch: 16,
            videos: None,
            fallback: None,
        }
    }
}

/// A service that is bound to its address.
#[derive(Debug)]
pub struct RewardService {
    service: Service,
    config: Config,
}

impl RewardService {
    /// Takes an address.
    ///
    /// # Errors
    /// The address is taken, or is not this machine's.
    pub fn bind(address: SocketAddr, config: Config) -> std::io::Result<Self> {
        Ok(Self {
            service: Service::bind(address, config.limits.clone())?,
            config,
        })
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// Serves until `stop` is set and all that was accepted is answered.
    ///
    /// # Errors
    /// The system has no more descriptors for serving at all.
    pub fn run(
        self,
        model: &dyn ChatModel,
        options: &Options,
        stop: &AtomicBool,
    ) -> std::io::Result<()> {
        let (waiting, worker) = queue(self.config.max_queue);
        let desk = Arc::new(Desk {
            queue: waiting,
            sources: Arc::new(Sources {
                videos: self.config.videos,
            }),
            fallback: self.config.fallback,
        });
        let batch = self.config.batch;
        std::thread::scope(|scope| {
            scope.spawn(|| work(worker, model, options, batch));
            // The desk goes with the answering function, and with it the queue: then the worker ends.
            self.service.run(stop, move |call| {
                let desk = Arc::clone(&desk);
                async move { desk.answer(call).await }
            })
        })
    }
}

/// Where requests are taken in.
struct Desk {
    queue: Queue<Clip, Judged>,
    sources: Arc<Sources>,
    fallback: Option<f64>,
}

impl Desk {
    async fn answer(&self, call: Call) -> Answer {
        match (call.method.as_str(), call.path.as_str()) {
            ("GET", "/health" | "/") => {
                return Answer::ok(json!({"status": "ok", "waiting": self.queue.len()}));
            }
            ("POST", _) => {}
            _ => return Answer::error(405, "clips are sent by POST; GET answers /health"),
        }
        let Some(form) = Form::of(&call.path) else {
            let message = "there is nothing here; POST to /score, /reward, /get_reward or /v1/chat/completions";
            return Answer::error(404, message);
        };
        let Call { body, room, .. } = call;
        let sources = Arc::clone(&self.sources);
        // The body is gone when this is done: what waits are the clips.
        let read = aside(move || read(&body, form, &sources)).await;
        let (form, clips) = match read {
            Some(Ok(read)) => read,
            Some(Err(refusal)) => return refusal,
            None => return Answer::error(500, "reading the request failed"),
        };
        let judged = match self.queue.submit(clips, room) {
            Ok(judged) => judged,
            Err(busy) => return refusal(&busy),
        };
        match judged.await {
            Some(judged) => answer(&form, &judged, self.fallback),
            None => Answer::error(500, "judging failed"),
        }
    }
}

fn read(body: &[u8], mut form: Form, sources: &Sources) -> Result<(Form, Vec<Clip>), Answer> {
    let body = serde_json::from_slice(body)
        .map_err(|error| Answer::error(400, &format!("the body is no JSON: {error}")))?;
    let clips = form.clips(&body, sources);
    let clips = clips.map_err(|error| Answer::error(400, &error.to_string()))?;
    Ok((form, clips))
}

fn refusal(busy: &Busy) -> Answer {
    let message = busy.to_string();
    match busy {
        Busy::TooMany { .. } => Answer::error(413, &message),
        Busy::Full { retry_after, .. } => Answer::busy(&message, *retry_after),
        Busy::Gone => Answer::error(503, &message),
    }
}

fn work(mut worker: Worker<Clip, Judged>, model: &dyn ChatModel, options: &Options, most: usize) {
    while let Some(tickets) = worker.next(most) {
        let (clips, replies): (Vec<_>, Vec<_>) = tickets
            .into_iter()
            .map(|Ticket { job, reply }| (job, reply))
            .unzip();
        let judged = judge(model, clips, options);
        for (reply, judged) in replies.into_iter().zip(judged) {
            reply.answer(judged.map_err(Failed::from));
        }
    }
}
