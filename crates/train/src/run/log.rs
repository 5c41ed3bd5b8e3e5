//! The metrics of a run on disk, and its clock.

use std::time::Instant;

use percept_report::{MetricsWriter, Row, RunDir, TensorBoardWriter};

use crate::run::names;
use crate::run::observer::Metrics;
use crate::run::state::State;
use crate::{Error, MetricNames};

/// `metrics.jsonl` and the TensorBoard file.
pub(crate) struct Log {
    metrics: MetricsWriter,
    tensorboard: TensorBoardWriter,
    names: MetricNames,
    clock: Instant,
}

impl Log {
    /// Goes on behind `step`.
    ///
    /// # Errors
    /// [`Error::Report`] when the files cannot be written.
    pub(crate) fn open(dir: &RunDir, step: usize, names: MetricNames) -> Result<Self, Error> {
        let step = Some(step as u64);
        Ok(Self {
            metrics: MetricsWriter::open(dir, step)?,
            tensorboard: TensorBoardWriter::open(dir, step)?,
            names,
            clock: Instant::now(),
        })
    }

    /// Writes the metrics of the step that `state` is at; returns them under the names that the recipe asks for.
    ///
    /// # Errors
    /// [`Error::Report`] when the disk refuses.
    pub(crate) fn write(
        &mut self,
        state: &State,
        stage: &str,
        metrics: Metrics,
    ) -> Result<Metrics, Error> {
        let named = names::translate(metrics, self.names);
        let row = Row {
            step: state.global_step as u64,
            stage: stage.to_owned(),
            time: state.seconds + self.clock.elapsed().as_secs_f64(),
            values: named.clone(),
        };
        self.metrics.write(&row)?;
        self.tensorboard.write(&row)?;
        Ok(named)
    }

    /// Everything so far is on the disk.
    ///
    /// # Errors
    /// [`Error::Report`] when it refuses.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        Ok(self.metrics.sync()?)
    }

    /// Moves the time since the last call into the state.
    pub(crate) fn tick(&mut self, state: &mut State) {
        state.seconds += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
    }
}
