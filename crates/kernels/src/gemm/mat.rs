//! Matrices that lie in slices.

/// A matrix in memory: element (i, j) is at `i·row + j·column` of `data`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mat<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub column: usize,
}

impl<'a> Mat<'a> {
    /// A row-major matrix whose rows are `row` elements apart.
    pub(crate) fn rows(data: &'a [f32], row: usize) -> Self {
        Self {
            data,
            row,
            column: 1,
        }
    }

    /// Whether all elements of this shape are in `data`.
    pub(crate) fn covers(&self, [rows, columns]: [usize; 2]) -> bool {
        if rows == 0 || columns == 0 {
            return true;
        }
        let last = (rows - 1).checked_mul(self.row).and_then(|at| {
            let across = (columns - 1).checked_mul(self.column)?;
            at.checked_add(across)
        });
        last.is_some_and(|last| last < self.data.len())
    }

    /// Its transpose, without moving anything.
    pub(crate) fn t(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }
}
