//! What the page asks.
//!
//! | path | answer |
//! |---|---|
//! | `GET /` and its scripts | the page |
//! | `GET /api/project` | labels, number of pairs, key of the project |
//! | `POST /api/next {"name"}` | the pair to go on with: `{"pair"}`, null where none is left |
//! | `GET /api/item?pair=&annotator=` | the frames and the work |
//! | `GET /api/list?annotator=` | an annotator's pairs in order, with their states |
//! | `GET /api/review?reviewer=` | work that is submitted by others |
//! | `POST /api/actions {"actions": […]}` | for each what became of it; the work that they changed |
//! | `GET /api/status` | counts and agreement |
//! | `GET /frames/…` | a picture |

use std::collections::BTreeSet;
use std::fs::File;

use percept_frames::Distortion;
use percept_http::server::{Content, Request, RequestMethod, Response};
use serde_json::{Value, json};

use crate::serve::assets::ASSETS;
use crate::status::Status;
use crate::work::{ActionError, Entry, State, Store};

/// Actions of one request.
const MAX_ACTIONS: usize = 100;

#[derive(Debug)]
pub(super) struct Site {
    store: Store,
}

impl Site {
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    pub fn answer(&self, request: &Request) -> Response {
        let path = request.path.as_str();
        let answer = match (request.method, path) {
            (RequestMethod::Post, "/api/actions") => body(request).and_then(|b| self.actions(&b)),
            (RequestMethod::Post, "/api/next") => body(request).and_then(|b| self.next(&b)),
            (RequestMethod::Post, _) => Err(Response::error(405, "this is only read")),
            (_, "/api/project") => Ok(self.project()),
            (_, "/api/item") => self.item(request),
            (_, "/api/list") => self.list(request),
            (_, "/api/review") => self.review(request),
            (_, "/api/status") => Ok(self.status()),
            _ => return self.file(path),
        };
        answer.map_or_else(
            |refusal| refusal,
            |value| Response::new(200, JSON, value.to_string()),
        )
    }

    fn project(&self) -> Value {
        let (pairs, key) = self.store.look(|works| {
            let project = works.project();
            (project.pairs().len(), project.key().to_owned())
        });
        json!({"labels": Distortion::ALL, "pairs": pairs, "key": key})
    }

    fn next(&self, body: &Value) -> Result<Value, Response> {
        let name = body["name"].as_str().unwrap_or_default();
        match self.store.next(name) {
            Ok(pair) => Ok(json!({ "pair": pair })),
            Err(ActionError::Refused(refusal)) => Err(Response::error(400, &refusal.to_string())),
            Err(ActionError::Disk(error)) => Err(Response::error(500, &error.to_string())),
        }
    }

    /// Each action is on the disk, or is refused, before this returns. When the disk fails the rest is not tried: the page
    /// sends it again.
    fn actions(&self, body: &Value) -> Result<Value, Response> {
        let sent = body["actions"]
            .as_array()
            .filter(|all| all.len() <= MAX_ACTIONS);
        let Some(sent) = sent else {
            let message = format!("expected {{\"actions\": [up to {MAX_ACTIONS}]}}");
            return Err(Response::error(400, &message));
        };
        let (mut results, mut changed) = (Vec::new(), BTreeSet::new());
        for action in sent {
            let id = action["id"].clone();
            match self.store.act(action.clone()) {
                Ok(receipt) => {
                    results.push(json!({"id": id, "stored": true, "known": receipt.known}));
                    changed.insert((receipt.pair, receipt.annotator));
                }
                Err(ActionError::Refused(refusal)) => {
                    results.push(json!({"id": id, "refused": refusal.to_string()}));
                }
                Err(ActionError::Disk(error)) => {
                    return Err(Response::error(500, &error.to_string()));
                }
            }
        }
        let items: Vec<Value> = self.store.look(|works| {
            let found = changed
                .iter()
                .filter_map(|(pair, who)| works.entry(pair, who));
            found.map(shown).collect()
        });
        Ok(json!({"results": results, "items": items}))
    }

    fn item(&self, request: &Request) -> Result<Value, Response> {
        let asked = request
            .parameter("pair")
            .zip(request.parameter("annotator"));
        let (pair, annotator) = asked.ok_or_else(|| Response::error(400, "pair and annotator?"))?;
        let found = self
            .store
            .look(|works| works.entry(pair, annotator).map(shown));
        found.ok_or_else(|| {
            let message = format!("pair {pair} was not given to {annotator}");
            Response::error(404, &message)
        })
    }

    fn list(&self, request: &Request) -> Result<Value, Response> {
        let annotator = request.parameter("annotator");
        let annotator = annotator.ok_or_else(|| Response::error(400, "annotator?"))?;
        Ok(self.entries(|entry| entry.annotator == annotator && entry.work.state != State::Free))
    }

    fn review(&self, request: &Request) -> Result<Value, Response> {
        let reviewer = request.parameter("reviewer");
        let reviewer = reviewer.ok_or_else(|| Response::error(400, "reviewer?"))?;
        Ok(self.entries(|e| e.annotator != reviewer && e.work.state == State::Submitted))
    }

    fn entries(&self, which: impl Fn(&Entry<'_>) -> bool) -> Value {
        self.store.look(|works| {
            let found = works.entries().filter(|entry| which(entry));
            let short = |entry: Entry<'_>| json!({"pair": entry.pair.id, "annotator": entry.annotator, "state": entry.work.state});
            found.map(short).collect()
        })
    }

    fn status(&self) -> Value {
        let overlap = *self.store.overlap();
        let status = self.store.look(|works| Status::of(works, &overlap));
        let open = self.entries(|entry| entry.work.state == State::Open);
        json!({"status": status, "open": open})
    }

    /// A script, or a picture of a pair.
    fn file(&self, path: &str) -> Response {
        if let Some((_, kind, text)) = ASSETS.iter().find(|(name, ..)| *name == path) {
            return Response::new(200, kind, *text);
        }
        let wanted = path.trim_start_matches('/');
        let found = self.store.look(|works| {
            let mut frames = works
                .project()
                .pairs()
                .iter()
                .flat_map(|pair| [&pair.a, &pair.b]);
            let known = frames.any(|frame| frame.file == wanted);
            known.then(|| works.project().folder().join(wanted))
        });
        let open = found.and_then(|path| {
            let file = File::open(path).ok()?;
            let len = file.metadata().ok()?.len();
            Some((file, len))
        });
        match open {
            Some((file, len)) => Response {
                status: 200,
                content_type: "image/png",
                body: Content::File(file, len),
            },
            None => Response::error(404, "there is nothing here"),
        }
    }
}

const JSON: &str = "application/json";

/// What a POST says.
fn body(request: &Request) -> Result<Value, Response> {
    if !request.is_json() {
        return Err(Response::error(
            415,
            "expected Content-Type: application/json",
        ));
    }
    let read = serde_json::from_slice(&request.body);
    read.map_err(|error| Response::error(400, &format!("the body is not JSON: {error}")))
}

/// A piece of work as the page gets it: without the names of the generators.
fn shown(entry: Entry<'_>) -> Value {
    let frame = |frame: &crate::cut::FrameFile| json!({"url": format!("/{}", frame.file), "width": frame.width, "height": frame.height});
    json!({
        "pair": entry.pair.id,
        "annotator": entry.annotator,
        "prompt": entry.pair.prompt,
        "time_s": entry.pair.time_s,
        "frames": {"A": frame(&entry.pair.a), "B": frame(&entry.pair.b)},
        "work": entry.work,
    })
}
