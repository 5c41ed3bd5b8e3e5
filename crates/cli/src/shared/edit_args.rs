//! Who edits pictures.

use std::time::Duration;

use clap::Args;
use percept_chat::{EndpointConfig, ImageEndpoint};
use percept_vision::{CommandEditor, Editor};

use crate::shared::Failure;
use crate::shared::endpoint_args::{CallArgs, json_object};

/// Who edits pictures, if not the built-in editor.
#[derive(Debug, Clone, Args)]
pub struct EditArgs {
    /// Edit with a program: {image} {mask} {output}, and {prompt} (a text file), {class}, {seed},
    /// {transparent} as needed (default: the built-in editor).
    #[arg(long, value_name = "COMMAND", conflicts_with = "edit_endpoint")]
    pub edit_command: Option<String>,
    /// Edit by a server with the API of OpenAI's images/edits.
    #[arg(long, value_name = "URL", requires = "edit_model")]
    pub edit_endpoint: Option<String>,
    /// Name of the editing model.
    #[arg(long, value_name = "NAME", requires = "edit_endpoint")]
    pub edit_model: Option<String>,
    /// Additional form fields, as a JSON object of strings: {"size": "1024x1024"}.
    #[arg(long, value_name = "JSON", requires = "edit_endpoint")]
    pub edit_fields: Option<String>,
}

impl EditArgs {
    /// The editor that was asked for; a command has `timeout` for a picture.
    pub fn open(
        &self,
        built_in: impl Editor + 'static,
        calls: &CallArgs,
        seed: u64,
        timeout: Duration,
    ) -> Result<Box<dyn Editor>, Failure> {
        if let Some(command) = &self.edit_command {
            return Ok(Box::new(CommandEditor::new(command, timeout)?));
        }
        let (Some(url), Some(model)) = (&self.edit_endpoint, &self.edit_model) else {
            return Ok(Box::new(built_in));
        };
        let mut config = EndpointConfig {
            extra_body: json_object("--edit-fields", self.edit_fields.as_deref())?,
            ..calls.config(url, model, seed)?
        };
        // An edit keeps a server busy for seconds.
        config.client.max_concurrency = calls.max_concurrency.min(4);
        Ok(Box::new(ImageEndpoint::new(config)?))
    }
}
