//! Step `pictures`: the rejected pictures of methods that do not look at what a picture shows.

use percept_data::Dataset;
use percept_steps::{Folder, Row, draw};
use percept_vision::ruin::Ruin;

use super::rows::key;
use crate::pictures::{media, write};
use crate::{CandidateFile, Method, PairsError, SourceRow};

/// What pictures are ruined with.
pub(crate) struct PictureStep<'a> {
    pub data: &'a dyn Dataset,
    pub folder: &'a Folder,
    pub method: Method,
    /// None for [`Method::OtherRow`].
    pub ruin: Option<&'a dyn Ruin>,
    pub seed: u64,
    /// All rows, among which another one is drawn.
    pub rows: &'a [SourceRow],
}

impl PictureStep<'_> {
    /// The rejected pictures of one row, one for each of its pictures.
    pub fn make(&self, row: &SourceRow) -> Result<Row<Vec<CandidateFile>>, PairsError> {
        let key = key(row.at);
        let Some(ruin) = self.ruin else {
            return self.of_another(&key, row);
        };
        let mut made = Vec::new();
        for number in 0..row.pictures.len() {
            let image = media(self.data, row, number)?.decode()?;
            let place = number.to_string();
            let seed = draw(self.seed, &[self.method.name(), &row.id, &place]);
            let ruined = ruin.ruined(&image, seed);
            let file = format!("images/{key}-{number}.png");
            made.push(write(self.folder, file, self.method.name(), &ruined)?);
        }
        Ok(Row::kept(key, made))
    }

    /// The pictures of the first row, from a drawn one on, that has as many and none of the same.
    fn of_another(
        &self,
        key: &str,
        row: &SourceRow,
    ) -> Result<Row<Vec<CandidateFile>>, PairsError> {
        let count = self.rows.len();
        let start = draw(self.seed, &[self.method.name(), &row.id]) % count.max(1) as u64;
        let differs = |other: &&SourceRow| {
            let pairs = row.pictures.iter().zip(&other.pictures);
            other.pictures.len() == row.pictures.len()
                && pairs.into_iter().all(|(a, b)| a.sha256 != b.sha256)
        };
        let order = (0..count).map(|at| &self.rows[(start as usize + at) % count]);
        let Some(other) = order.into_iter().find(differs) else {
            return Ok(Row::dropped(key, "no other row has another picture"));
        };
        let mut made = Vec::new();
        for number in 0..other.pictures.len() {
            let image = media(self.data, other, number)?.decode()?;
            let file = format!("images/{key}-{number}.png");
            let tag = format!("{}: {}", self.method.name(), other.id);
            made.push(write(self.folder, file, &tag, &image)?);
        }
        Ok(Row::kept(key, made))
    }
}
