//! For every patch that touches the hole: the patch outside that it resembles most.

use percept_base::random::SplitMix;

use crate::picture::Picture;
use crate::random::stream;

use super::patch::{RADIUS, SIDE};
use super::pyramid::Level;

const PIXELS: f32 = (SIDE * SIDE) as f32;

/// Levels by which a patch may be made lighter or darker to fit (Image Melding allows ±50 of its
/// L*a*b scale; less keeps the start's blur from surviving as "light").
pub(super) const MAX_SHIFT: f32 = 16.0;

/// Passes over the field in one search.
const PASSES: usize = 2;

/// Where a patch comes from.
#[derive(Debug, Clone, Copy)]
struct Match {
    /// Middle of the source patch.
    x: u32,
    y: u32,
    /// Sum of squared differences after the shift.
    cost: f32,
    shift: [f32; 3],
}

/// A match for each patch that touches the hole.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Middles of the patches, row by row.
    targets: Vec<(u32, u32)>,
    /// Place of the picture → its patch, or `u32::MAX`.
    rank: Vec<u32>,
    /// Middles of whole patches that may be copied, and whether a place is one.
    sources: Vec<(u32, u32)>,
    is_source: Vec<bool>,
    matches: Vec<Match>,
    width: usize,
    seed: [u64; 2],
}

impl Field {
    /// Begins with the matches of the coarser level, or by chance.
    pub fn new(level: &Level, coarser: Option<&Self>, seed: u64, depth: u64) -> Self {
        let (width, height) = (level.picture.width, level.picture.height);
        let touched = level.hole.dilate(SIDE as u32, 1);
        let unusable = level.avoid.dilate(SIDE as u32, 1);
        let mut field = Self {
            targets: Vec::new(),
            rank: vec![u32::MAX; width * height],
            sources: Vec::new(),
            is_source: vec![false; width * height],
            matches: Vec::new(),
            width,
            seed: [seed, depth],
        };
        let whole = |len: usize| RADIUS..len.saturating_sub(RADIUS);
        for (y, x) in whole(height).flat_map(|y| whole(width).map(move |x| (y, x))) {
            let (place, at) = (y * width + x, (x as u32, y as u32));
            if touched.get(at.0, at.1) {
                field.rank[place] = field.targets.len() as u32;
                field.targets.push(at);
            } else if !unusable.get(at.0, at.1) {
                field.is_source[place] = true;
                field.sources.push(at);
            }
        }
        if field.sources.is_empty() {
            // Nothing to copy: the start stays as it is.
            field.targets.clear();
            return field;
        }
        let mut random = stream(&[seed, depth, u64::MAX]);
        for &(x, y) in &field.targets {
            let inherited = coarser.and_then(|coarser| coarser.source_below(x, y));
            let source = match inherited {
                Some(at) if field.is_source_at(at) => at,
                _ => field.sources[random.below(field.sources.len())],
            };
            field.matches.push(Match {
                x: source.0,
                y: source.1,
                cost: f32::MAX,
                shift: [0.0; 3],
            });
        }
        field
    }

    /// What a fine patch inherits from the coarse one that holds it.
    fn source_below(&self, x: u32, y: u32) -> Option<(u32, u32)> {
        let place = (y / 2) as usize * self.width + (x / 2) as usize;
        let rank = *self.rank.get(place)?;
        let found = self.matches.get(rank as usize)?;
        Some((2 * found.x + x % 2, 2 * found.y + y % 2))
    }

    fn is_source_at(&self, (x, y): (u32, u32)) -> bool {
        let (x, y) = (x as usize, y as usize);
        x < self.width && self.is_source.get(y * self.width + x) == Some(&true)
    }

    /// Improves the matches: from the neighbours' ones and by chance, nearer and nearer.
    pub fn search(&mut self, level: &Level, round: usize) {
        let picture = &level.picture;
        for at in 0..self.targets.len() {
            let old = self.matches[at];
            self.matches[at] = compare(picture, self.targets[at], (old.x, old.y));
        }
        let mut random = stream(&[self.seed[0], self.seed[1], round as u64]);
        for pass in 0..PASSES {
            let forward = pass % 2 == 0;
            let count = self.targets.len();
            for step in 0..count {
                let at = if forward { step } else { count - 1 - step };
                self.propagate(picture, at, forward);
                self.draw(picture, at, &mut random);
            }
        }
    }

    fn offer(&mut self, picture: &Picture, at: usize, source: (u32, u32)) {
        if !self.is_source_at(source) {
            return;
        }
        let found = compare(picture, self.targets[at], source);
        if found.cost < self.matches[at].cost {
            self.matches[at] = found;
        }
    }

    /// Tries what follows from the matches of the left and upper (or right and lower) neighbour.
    fn propagate(&mut self, picture: &Picture, at: usize, forward: bool) {
        let (x, y) = self.targets[at];
        let place = y as usize * self.width + x as usize;
        let step = |back: usize| if forward { place - back } else { place + back };
        for (neighbour, dx, dy) in [(step(1), 1, 0), (step(self.width), 0, 1)] {
            let Some(found) = self.matches.get(self.rank[neighbour] as usize) else {
                continue;
            };
            let source = match forward {
                true => (found.x + dx, found.y + dy),
                false => (found.x - dx, found.y - dy),
            };
            self.offer(picture, at, source);
        }
    }

    /// Tries places around the match, in windows of half and half the size.
    fn draw(&mut self, picture: &Picture, at: usize, random: &mut SplitMix) {
        let mut reach = picture.width.max(picture.height);
        while reach >= 1 {
            let best = self.matches[at];
            let mut near = |middle: u32, len: usize| {
                let low = (middle as usize).saturating_sub(reach);
                let high = (middle as usize + reach).min(len - 1);
                (low + random.below(high - low + 1)) as u32
            };
            let source = (near(best.x, picture.width), near(best.y, picture.height));
            self.offer(picture, at, source);
            reach /= 2;
        }
    }

    /// Makes every pixel of the hole the mean of what the matches have in its place; a better
    /// match counts more (Wexler et al., eq. 5 with their choice of σ).
    pub fn vote(&self, level: &mut Level) {
        if self.matches.is_empty() {
            return;
        }
        let mut costs: Vec<f32> = self.matches.iter().map(|m| m.cost).collect();
        let (_, scale, _) =
            costs.select_nth_unstable_by(self.matches.len() * 3 / 4, f32::total_cmp);
        let scale = 2.0 * scale.max(PIXELS);
        let (width, height) = (level.picture.width, level.picture.height);
        let mut sums = vec![[0.0_f32; 4]; width * height];
        for (&(x, y), found) in self.targets.iter().zip(&self.matches) {
            let weight = (-found.cost / scale).exp().max(1e-6);
            for (ty, sy) in rows(y).zip(rows(found.y)) {
                let (target, source) = (ty * width + low(x), sy * width + low(found.x));
                for k in 0..SIDE {
                    let colour = level.picture.colours[source + k];
                    let sum = &mut sums[target + k];
                    for c in 0..3 {
                        sum[c] += weight * (colour[c] + found.shift[c]);
                    }
                    sum[3] += weight;
                }
            }
        }
        for (x, y) in level.hole.pixels() {
            let place = y as usize * width + x as usize;
            let [r, g, b, weight] = sums[place];
            if weight > 0.0 {
                level.picture.colours[place] = [r, g, b].map(|c| (c / weight).clamp(0.0, 255.0));
            }
        }
    }
}

/// First column of a patch.
fn low(x: u32) -> usize {
    x as usize - RADIUS
}

/// Rows of a patch.
fn rows(y: u32) -> std::ops::Range<usize> {
    low(y)..low(y) + SIDE
}

/// How much two patches differ after the best allowed shift of colour.
fn compare(picture: &Picture, target: (u32, u32), source: (u32, u32)) -> Match {
    let width = picture.width;
    let (mut sum, mut square) = ([0.0_f32; 3], [0.0_f32; 3]);
    for (ty, sy) in rows(target.1).zip(rows(source.1)) {
        let t = &picture.colours[ty * width + low(target.0)..][..SIDE];
        let s = &picture.colours[sy * width + low(source.0)..][..SIDE];
        for (t, s) in t.iter().zip(s) {
            for c in 0..3 {
                let difference = t[c] - s[c];
                sum[c] += difference;
                square[c] += difference * difference;
            }
        }
    }
    let shift = sum.map(|sum| (sum / PIXELS).clamp(-MAX_SHIFT, MAX_SHIFT));
    let rest = |c: usize| square[c] - 2.0 * shift[c] * sum[c] + PIXELS * shift[c] * shift[c];
    Match {
        x: source.0,
        y: source.1,
        cost: (0..3).map(rest).sum::<f32>().max(0.0),
        shift,
    }
}
