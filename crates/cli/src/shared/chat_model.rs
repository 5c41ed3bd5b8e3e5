//! A model that answers conversations, as the command line names it: in this process or on a server.

use std::path::Path;

use percept_chat::{ChatModel, Endpoint, Local};
use percept_kernels::decode::WeightDtype;
use percept_model::{Model, Processor};
use percept_sampler::{EngineConfig, LocalSampler};
use serde_json::Value;

use super::endpoint_args::CallArgs;
use super::model_args::ModelArgs;
use super::{Failure, open};
use crate::shared::sampling::say_unused_of;

/// Which model.
pub struct ChatArgs<'a> {
    /// A local one …
    pub model: Option<&'a Path>,
    pub adapter: Option<&'a Path>,
    pub device: &'a str,
    /// … or a server and the model's name there.
    pub server: Option<(&'a str, &'a str)>,
    pub calls: &'a CallArgs,
    pub max_num_seqs: usize,
    /// Temperature and top-p of its answers: what generation_config.json recommends besides is said.
    pub sampled: Option<(f32, f32)>,
}

/// A model that is loaded, or an endpoint.
pub enum OpenedChat {
    Local {
        model: Box<(Model, Processor)>,
        identity: Value,
        engine: EngineConfig,
    },
    Server(Box<Endpoint>),
}

impl OpenedChat {
    /// Loads the model, or checks how the server is to be asked.
    pub fn open(args: &ChatArgs<'_>) -> Result<Self, Failure> {
        let Some(folder) = args.model else {
            let (url, name) = args
                .server
                .ok_or_else(|| Failure::new("no model: give a local one, or a server"))?;
            let endpoint = args.calls.endpoint(url, name, 0)?;
            return Ok(Self::Server(Box::new(endpoint)));
        };
        let named = ModelArgs {
            model: folder.to_path_buf(),
            adapter: args.adapter.map(Path::to_path_buf),
            device: args.device.to_owned(),
            attention: None,
            dtype: WeightDtype::F32,
        };
        let identity = open::weights(&named)?;
        let model = Box::new(open::model(&named)?);
        if let Some((temperature, top_p)) = args.sampled {
            say_unused_of(&model.1, temperature, top_p);
        }
        let engine = EngineConfig {
            max_num_seqs: args.max_num_seqs,
            ..EngineConfig::default()
        };
        Ok(Self::Local {
            model,
            identity,
            engine,
        })
    }

    /// The model, ready to be asked.
    pub fn chat(&self) -> Result<Box<dyn ChatModel + '_>, Failure> {
        Ok(match self {
            Self::Server(endpoint) => Box::new(endpoint.as_ref()),
            Self::Local {
                model,
                identity,
                engine,
            } => {
                let sampler = LocalSampler::new(&model.0, &model.1, 0)?;
                let sampler = sampler.with_engine(engine.clone());
                Box::new(Local::new(sampler, identity.clone()))
            }
        })
    }
}
