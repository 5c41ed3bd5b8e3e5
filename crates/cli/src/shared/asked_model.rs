//! A model that a step asks, behind its file of answers.

use std::path::Path;

use percept_chat::{Cached, ChatModel, Local};
use percept_kernels::decode::WeightDtype;
use percept_sampler::{EngineConfig, LocalSampler};

use crate::shared::endpoint_args::CallArgs;
use crate::shared::model_args::ModelArgs;
use crate::shared::output::note;
use crate::shared::{Failure, Global, open};

/// A model that is asked, if any.
pub struct AskedModel<'a> {
    /// Address and the server's name of it.
    pub endpoint: Option<(&'a str, &'a str)>,
    /// A local model.
    pub folder: Option<&'a Path>,
    /// Device of a local model.
    pub device: &'a str,
    /// How a server is asked.
    pub calls: &'a CallArgs,
    /// Spreads the pauses between attempts; the sampler's seed.
    pub seed: u64,
    /// File of its answers.
    pub journal: &'a Path,
    /// What it does, for messages.
    pub task: &'a str,
}

impl AskedModel<'_> {
    /// Goes on with the model behind its file of answers.
    pub fn ready<T>(
        &self,
        global: &Global,
        then: impl FnOnce(Option<&dyn ChatModel>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.endpoint.is_none() && self.folder.is_none() {
            return then(None);
        }
        if let Some(folder) = self.journal.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if let Some((url, name)) = self.endpoint {
            let endpoint = self.calls.endpoint(url, name, self.seed)?;
            return self.tell(&Cached::open(endpoint, self.journal)?, global, then);
        }
        let Some(folder) = self.folder else {
            return then(None);
        };
        let model = ModelArgs {
            model: folder.to_owned(),
            adapter: None,
            device: self.device.to_owned(),
            attention: None,
            dtype: WeightDtype::F32,
        };
        let identity = open::weights(&model)?;
        let (model, processor) = open::model(&model)?;
        let engine = EngineConfig {
            max_num_seqs: 4,
            ..EngineConfig::default()
        };
        let sampler = LocalSampler::new(&model, &processor, self.seed)?.with_engine(engine);
        let local = Local::new(sampler, identity);
        self.tell(&Cached::open(local, self.journal)?, global, then)
    }

    /// Says in the end what was asked.
    fn tell<T>(
        &self,
        model: &dyn ChatModel,
        global: &Global,
        then: impl FnOnce(Option<&dyn ChatModel>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let done = then(Some(model));
        let usage = model.usage();
        if !global.quiet && !global.json {
            note!(
                "{}: {} requests ({} repeated), {} answers from the file, {} + {} tokens, cost {:.2}",
                self.task,
                usage.requests,
                usage.retries.values().sum::<u64>(),
                usage.cached,
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.cost
            );
        }
        done
    }
}
