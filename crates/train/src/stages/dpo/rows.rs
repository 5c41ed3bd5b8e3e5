//! Which rows a step trains on, and what was skipped on the way.

use percept_data::{Dataset, Sample};
use rayon::prelude::*;

use crate::Error;
use crate::batch::order::RowOrder;
use crate::batch::refused::{Refusal, Refused};
use crate::reasons::Reasons;
use crate::stages::dpo::pair::Pair;
use crate::stages::dpo::reader::Reader;

/// Pairs of a block of [`Rows::distinct`], at most.
const BLOCK: usize = 16;

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
            let missing = (count - pairs.len()) as u64;
            let rows: Vec<usize> = (*position..*position + missing)
                .map(|position| order.row(position))
                .collect();
            for (row, read) in rows.iter().zip(self.all(&rows)) {
                *position += 1;
                match read {
                    Ok(pair) => pairs.push(pair),
                    Err(reason) => {
                        refused.add(*row, reason, *position <= len as u64, news);
                        refused.check("dpo", len)?;
                    }
                }
            }
        }
        Ok((pairs, refused.count))
    }

    /// The pairs that a stage of `count` in all sees for the first time, those of the first epoch, in blocks.
    pub(crate) fn distinct(&self, count: usize) -> impl Iterator<Item = Vec<Pair>> {
        let (mut order, len, mut missing) = (self.order(), self.data.len() as u64, count);
        let mut position = 0;
        std::iter::from_fn(move || {
            if missing == 0 || position == len {
                return None;
            }
            let end = len.min(position + BLOCK.min(missing) as u64);
            let rows: Vec<usize> = (position..end)
                .map(|position| order.row(position))
                .collect();
            position = end;
            let pairs: Vec<Pair> = self.all(&rows).into_iter().filter_map(Result::ok).collect();
            missing -= pairs.len();
            Some(pairs)
        })
    }

    /// What is made of rows: decoding pictures is work for all threads.
    fn all(&self, rows: &[usize]) -> Vec<Result<Pair, Refusal>> {
        rows.par_iter().map(|&row| self.at(row)).collect()
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
