//! What the stage works with and does not change.

use percept_credit::preference::{Kind, PreferenceNeeds};
use percept_data::{Dataset, Sample};
use percept_model::Processor;

use crate::batch::refused::Refusal;
use crate::recipe::parts::steps_over;
use crate::run::opened::Opened;
use crate::stages::dpo::pair::Pair;
use crate::stages::dpo::reader::Reader;
use crate::stages::dpo::reference::Reference;
use crate::stages::dpo::rows::Rows;
use crate::stages::dpo::update::Passes;
use crate::{DpoConfig, PreferenceOptions, Recipe};

/// Tables of the recipe, what the loss needs, data, processor.
pub(crate) struct Setup<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) config: &'a DpoConfig,
    pub(crate) options: &'a PreferenceOptions,
    pub(crate) needs: PreferenceNeeds,
    pub(crate) data: &'a dyn Dataset,
    /// Rows that hold the policy near its reference, where the loss asks for them.
    pub(crate) general: Option<&'a dyn Dataset>,
    pub(crate) processor: &'a Processor,
}

impl<'a> Setup<'a> {
    /// Where the recipe has the stage.
    pub(crate) fn of(recipe: &'a Recipe, opened: &'a Opened) -> Option<Self> {
        Some(Self {
            recipe,
            config: recipe.dpo.as_ref()?,
            options: &recipe.preference,
            needs: recipe.preference.loss.needs(),
            data: opened.pairs.as_deref()?,
            general: opened.general.as_deref(),
            processor: &opened.processor,
        })
    }

    /// Steps of the stage.
    pub(crate) fn steps(&self) -> usize {
        let config = self.config;
        let (steps, epochs) = (config.steps, config.num_train_epochs);
        steps_over(self.data.len(), steps, epochs, config.train_batch_size)
    }

    /// The rows in their order.
    pub(crate) fn rows(&self) -> Rows<'_> {
        self.rows_of(self.data, Reader::pair)
    }

    /// The general rows in their order, where the loss asks for them.
    pub(crate) fn general_rows(&self) -> Option<Rows<'_>> {
        let asked = self.needs.kinds.contains_key(&Kind::General);
        let general = self.general.filter(|_| asked)?;
        Some(self.rows_of(general, Reader::general))
    }

    fn rows_of<'s>(
        &'s self,
        data: &'s dyn Dataset,
        read: fn(&Reader<'s>, &Sample) -> Result<Pair, Refusal>,
    ) -> Rows<'s> {
        Rows {
            data,
            read,
            reader: Reader::of(self.recipe, self.processor, &self.needs),
            seed: self.recipe.trainer.seed,
            shuffle: self.recipe.data.shuffle,
            longest: self.config.ppo_max_token_len,
        }
    }

    /// How pairs go through the model.
    pub(crate) fn passes(&self) -> Passes<'_> {
        Passes {
            options: self.options,
            needs: &self.needs,
            seed: self.recipe.trainer.seed,
            budget: self.config.ppo_max_token_len,
        }
    }

    /// Where the reference's log-probabilities are to come from.
    pub(crate) fn reference(&self) -> Reference {
        let asked = self.needs.kinds.values().any(|kind| kind.ref_log_prob);
        if !asked || self.options.reference_free {
            return Reference::None;
        }
        match self.options.precompute_ref_log_probs {
            true => Reference::stored(self.recipe.trainer.bf16),
            false => Reference::Model,
        }
    }
}
