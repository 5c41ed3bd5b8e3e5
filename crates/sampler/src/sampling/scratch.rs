//! Memory that draws of one thread use again.

/// Memory of one thread for one row.
#[derive(Default)]
pub(crate) struct Scratch {
    pub mixed: Vec<f32>,
    pub order: Vec<f32>,
}

impl Scratch {
    /// A row that may be changed.
    pub(crate) fn copy(&mut self, row: &[f32]) -> &mut [f32] {
        self.mixed.clear();
        self.mixed.extend_from_slice(row);
        &mut self.mixed
    }
}
