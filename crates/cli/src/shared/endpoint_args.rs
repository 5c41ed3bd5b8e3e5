//! How a server is asked: the options that every command with an endpoint has.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use percept_chat::{Endpoint, EndpointConfig, Prices};
use percept_data::{Dataset, Sample};
use percept_http::{ClientConfig, RetryPolicy};
use serde_json::{Map, Value};

use crate::shared::Failure;

/// Which server and which of its models.
#[derive(Debug, Clone, Args)]
pub struct EndpointArgs {
    /// OpenAI-compatible server: http://localhost:8000, https://host/v1 (key: PERCEPT_API_KEY).
    #[arg(long, value_name = "URL", requires = "api_model")]
    pub endpoint: Option<String>,
    /// Model name as the server knows it.
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    pub api_model: Option<String>,
}

impl EndpointArgs {
    /// The server and the model's name, where both are given.
    pub fn named(&self) -> Option<(&str, &str)> {
        self.endpoint.as_deref().zip(self.api_model.as_deref())
    }
}

/// How a server is asked.
#[derive(Debug, Clone, Args)]
pub struct CallArgs {
    /// Maximum number of concurrent requests.
    #[arg(long, default_value_t = 16)]
    pub max_concurrency: usize,
    /// Maximum number of requests per minute (default: no limit).
    #[arg(long)]
    pub rpm: Option<f64>,
    /// Timeout of a request, in seconds, from connecting to the last byte of the answer.
    #[arg(long, default_value_t = 600.0)]
    pub timeout: f64,
    /// Attempts per request, with exponential backoff (for dropped connections, timeouts, incomplete
    /// answers, HTTP 408, 409, 429 and 5xx; Retry-After is respected).
    #[arg(long, default_value_t = 8)]
    pub max_attempts: u32,
    /// Shortest first pause in seconds.
    #[arg(long, default_value_t = 1.0, hide = true)]
    pub retry_pause: f64,
    /// Price per million prompt tokens.
    #[arg(long, default_value_t = 0.0)]
    pub price_in: f64,
    /// Price per million response tokens.
    #[arg(long, default_value_t = 0.0)]
    pub price_out: f64,
    /// Additional fields of the request body, as a JSON object: {"reasoning_effort": "high"}.
    #[arg(long, value_name = "JSON")]
    pub extra_body: Option<String>,
}

/// From where images may be sent or copied, besides the folders that a command names.
#[derive(Debug, Clone, Default, Args)]
pub struct AllowImages {
    /// Also allow images in this folder to be sent or copied (may be repeated). By default only files in the folder of the
    /// data file or of the images may leave it: `..`, absolute paths and links to other folders are refused.
    #[arg(long, value_name = "DIR")]
    pub allow_images: Vec<PathBuf>,
}

impl AllowImages {
    /// Rows whose images may leave from these folders as well.
    pub fn rows(&self, data: Box<dyn Dataset>) -> Box<dyn Dataset> {
        match self.allow_images.is_empty() {
            true => data,
            false => Box::new(AllowedImages {
                data,
                folders: self.allow_images.clone(),
            }),
        }
    }
}

/// See [`AllowImages::rows`].
struct AllowedImages {
    data: Box<dyn Dataset>,
    folders: Vec<PathBuf>,
}

impl Dataset for AllowedImages {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn get(&self, i: usize) -> Result<Sample, percept_data::Error> {
        let mut sample = self.data.get(i)?;
        sample.allow_images(&self.folders);
        Ok(sample)
    }

    fn name(&self) -> &str {
        self.data.name()
    }
}

impl CallArgs {
    /// The model `name` of the server at `url`; `seed` spreads the pauses between attempts.
    pub fn endpoint(&self, url: &str, name: &str, seed: u64) -> Result<Endpoint, Failure> {
        Ok(Endpoint::new(self.config(url, name, seed)?)?)
    }

    /// How a server is asked, whatever it serves.
    pub fn config(&self, url: &str, name: &str, seed: u64) -> Result<EndpointConfig, Failure> {
        Ok(EndpointConfig {
            client: ClientConfig {
                max_concurrency: self.max_concurrency,
                requests_per_minute: self.rpm,
                timeout: seconds("--timeout", self.timeout)?,
                retry: RetryPolicy {
                    attempts: self.max_attempts,
                    first: seconds("--retry-pause", self.retry_pause)?,
                    seed,
                    ..RetryPolicy::default()
                },
                ..ClientConfig::default()
            },
            prices: self.prices(),
            extra_body: json_object("--extra-body", self.extra_body.as_deref())?,
            ..EndpointConfig::new(url, name)
        })
    }

    /// What a million tokens cost.
    pub fn prices(&self) -> Prices {
        Prices {
            input: self.price_in,
            output: self.price_out,
        }
    }
}

/// A duration that an option gives in seconds.
pub fn seconds(option: &str, value: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(value).map_err(|e| Failure::new(format!("{option} {value}: {e}")))
}

/// A JSON object that an option gives; empty without one.
pub fn json_object(option: &str, text: Option<&str>) -> Result<Map<String, Value>, Failure> {
    let Some(text) = text else {
        return Ok(Map::new());
    };
    serde_json::from_str(text)
        .map_err(|e| Failure::new(format!("{option} is not a JSON object: {e}")))
}
