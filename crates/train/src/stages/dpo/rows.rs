//! Which rows a step trains on, and what was skipped on the way.

use percept_data::{Dataset, Sample};

use crate::Error;
use crate::batch::order::RowOrder;
use crate::batch::refused::{Refusal, Refused};
use crate::reasons::Reasons;
use crate::stages::dpo::pair::Pair;
use crate::stages::dpo::reader::Reader;

/// The rows of the stage in their endless order.
pub(crate) struct Rows<'a> {
    pub(crate) data: &'a dyn Dataset,
    pub(crate) reader: Reader<'a>,
    /// What is made of a row.
    pub(crate) read: fn(&Reader<'a>, &Sample) -> Result<Pair, Refusal>,
    pub(crate) seed: u64,
    pub(crate) shuffle: bool,
    /// `dpo.ppo_max_token_len`.
    pub(crate) longest: usize,
}

impl Rows<'_> {
    /// The next `count` rows that are pairs, and how many were none; `position` moves past them, and `news` hears of
    /// those that were refused for the first time.
    ///
    /// # Errors
    /// [`Error::NoRows`] when no row of the data set is a pair.
    pub(crate) fn next(
        &self,
        count: usize,
        position: &mut u64,
        news: &mut Reasons,
    ) -> Result<(Vec<Pair>, usize), Error> {
        let len = self.data.len();
        let mut order = self.order();
        let mut pairs = Vec::with_capacity(count);
        let mut refused = Refused::default();
        while pairs.len() < count {
            let row = order.row(*position);
            *position += 1;
            match self.at(row) {
                Ok(pair) => pairs.push(pair),
                Err(reason) => {
                    refused.add(row, reason, *position <= len as u64, news);
                    refused.check("dpo", len)?;
                }
            }
        }
        Ok((pairs, refused.count))
    }

    /// The pairs that a stage of `count` in all sees for the first time: those of the first epoch.
    pub(crate) fn distinct(&self, count: usize) -> impl Iterator<Item = Pair> {
        let mut order = self.order();
        let rows = (0..self.data.len() as u64).map(move |position| order.row(position));
        rows.filter_map(|row| self.at(row).ok()).take(count)
    }

    fn order(&self) -> RowOrder {
        RowOrder::new(self.data.len(), self.seed, self.shuffle)
    }

    fn at(&self, row: usize) -> Result<Pair, Refusal> {
        let sample = self.data.get(row);
        let sample = sample.map_err(|e| Refusal::of(&e.into(), &format!("row {}", row + 1)))?;
        let pair = (self.read)(&self.reader, &sample)?;
        let tokens = pair.tokens(|_| true);
        if tokens <= self.longest {
            return Ok(pair);
        }
        let limit = self.longest;
        let reason =
            format!("{tokens} tokens of a pair are more than dpo.ppo_max_token_len ({limit})");
        Err(Refusal::new(&sample.id, reason))
    }
}
