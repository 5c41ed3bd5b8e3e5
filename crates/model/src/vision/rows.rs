//! Rows of images: what the tower made of them, and the token rows that they replace.

use std::sync::Arc;

use burn::tensor::Tensor;
use percept_data::Patches;
use percept_nn as nn;

use crate::Error;
use crate::vision::tower::Tower;

/// An image of a prompt, and the token rows that its merged embeddings take.
pub type PlacedImage<'p> = (&'p Arc<Patches>, &'p [u32]);

/// Each of `images` with its part of `index`, the token rows of all of them in order.
///
/// # Errors
/// [`Error::Batch`] when an image does not fit the tower or the rows are not those of the images.
pub(crate) fn placed<'p>(
    tower: Option<&dyn Tower>,
    images: &'p [Arc<Patches>],
    index: &'p [u32],
    tokens: usize,
) -> Result<Vec<PlacedImage<'p>>, Error> {
    let mut merged = Vec::with_capacity(images.len());
    if let Some(tower) = tower {
        for (i, image) in images.iter().enumerate() {
            tower.check(image, i)?;
            merged.push(tower.merged_tokens(image.grid_thw));
        }
    }
    let total = merged.iter().sum();
    check_places(index, total, images.len(), tokens)?;
    let mut left = index;
    Ok(images
        .iter()
        .zip(merged)
        .map(|(image, count)| {
            let (own, rest) = left.split_at(count);
            left = rest;
            (image, own)
        })
        .collect())
}

/// `index` names one token row for each of `merged` tokens of `images` images.
fn check_places(index: &[u32], merged: usize, images: usize, tokens: usize) -> Result<(), Error> {
    if merged != index.len() {
        let message = format!(
            "{} placeholder rows for {merged} merged vision tokens of {images} images",
            index.len(),
        );
        return Err(Error::batch("vision_index", message));
    }
    let ascending = index.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || index.last().is_some_and(|&last| last as usize >= tokens) {
        let message = format!("must ascend and stay below the number of tokens, {tokens}");
        return Err(Error::batch("vision_index", message));
    }
    Ok(())
}

/// Merged embeddings, each of which a batch shows at least once: token row `places[i]` takes row
/// `sources[i]`.
#[derive(Clone)]
pub(crate) struct VisionRows {
    pub(crate) rows: Tensor<2>,
    pub(crate) sources: Vec<u32>,
    pub(crate) places: Vec<u32>,
}

impl VisionRows {
    /// Several as one; its rows are theirs in their order.
    pub(crate) fn join(parts: Vec<Self>) -> Option<Self> {
        let mut first = 0;
        let (mut rows, mut sources, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            sources.extend(part.sources.iter().map(|source| first + source));
            places.extend(part.places);
            first += part.rows.dims()[0] as u32;
            rows.push(part.rows);
        }
        let rows = match rows.len() {
            0 => return None,
            1 => rows.pop()?,
            _ => Tensor::cat(rows, 0),
        };
        Some(Self {
            rows,
            sources,
            places,
        })
    }

    /// Puts the rows into their places in `x`.
    pub(crate) fn place(self, x: Tensor<2>) -> Tensor<2> {
        if self.sources.len() > self.rows.dims()[0] {
            // A gather whose backward adds up what the occurrences of an image receive.
            let rows = nn::gather_rows(self.rows, &self.sources);
            return nn::scatter_rows(x, &self.places, rows);
        }
        let mut targets = vec![0; self.places.len()];
        for (&source, &row) in self.sources.iter().zip(&self.places) {
            targets[source as usize] = row;
        }
        nn::scatter_rows(x, &targets, self.rows)
    }
}
