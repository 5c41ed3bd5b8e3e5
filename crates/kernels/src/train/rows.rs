//! Moving rows: gather (embedding) and scatter, each the other's backward.

use rayon::prelude::*;

use super::tasks::TASK_ROWS;
use crate::op::{HostOp, INPUTS, Keep};
use crate::unwritten::Unwritten;

/// Input: table `[rows, width]`; result: its rows `index`.
#[derive(Debug)]
pub struct Gather {
    /// Rows of the table.
    pub rows: usize,
    /// Values of a row.
    pub width: usize,
    /// Rows that are copied.
    pub index: Vec<u32>,
}

impl HostOp for Gather {
    fn shape(&self) -> Vec<usize> {
        vec![self.index.len(), self.width]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::NOTHING
    }

    fn forward(&self, [table, _, _]: [&[f32]; INPUTS]) -> Vec<f32> {
        gather(table, self.width, &self.index)
    }

    fn backward(
        &self,
        _: [&[f32]; INPUTS],
        _: &[f32],
        grad: &[f32],
        _: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        let width = self.width;
        let mut table = vec![0.0; self.rows * width];
        // One thread, in order: a row may occur many times.
        for (&row, grad) in self.index.iter().zip(grad.chunks_exact(width)) {
            let at = row as usize * width;
            for (t, g) in table[at..at + width].iter_mut().zip(grad) {
                *t += g;
            }
        }
        [table, Vec::new(), Vec::new()]
    }
}

/// Inputs: x `[rows, width]`, values `[index, width]`; result: x with the rows `index` replaced.
#[derive(Debug)]
pub struct Scatter {
    /// Rows of x.
    pub rows: usize,
    /// Values of a row.
    pub width: usize,
    /// Rows that are replaced, each once.
    pub index: Vec<u32>,
}

impl HostOp for Scatter {
    fn shape(&self) -> Vec<usize> {
        vec![self.rows, self.width]
    }

    fn keep(&self, _: [bool; INPUTS]) -> Keep {
        Keep::NOTHING
    }

    fn forward(&self, [x, values, _]: [&[f32]; INPUTS]) -> Vec<f32> {
        let mut out = x.to_vec();
        for (&row, value) in self.index.iter().zip(values.chunks_exact(self.width)) {
            let at = row as usize * self.width;
            out[at..at + self.width].copy_from_slice(value);
        }
        out
    }

    fn backward(
        &self,
        _: [&[f32]; INPUTS],
        _: &[f32],
        grad: &[f32],
        _: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        let mut dx = grad.to_vec();
        for &row in &self.index {
            let at = row as usize * self.width;
            dx[at..at + self.width].fill(0.0);
        }
        [dx, gather(grad, self.width, &self.index), Vec::new()]
    }
}

fn gather(table: &[f32], width: usize, index: &[u32]) -> Vec<f32> {
    let mut out = Unwritten::new(index.len() * width);
    out.slots()
        .par_chunks_mut(TASK_ROWS * width)
        .zip(index.par_chunks(TASK_ROWS))
        .for_each(|(out, index)| {
            for (out, &row) in out.chunks_exact_mut(width).zip(index) {
                let at = row as usize * width;
                out.write_copy_of_slice(&table[at..at + width]);
            }
        });
    // SAFETY: a row for each index, each of them copied whole.
    unsafe { out.written() }
}
