//! The training loop.

use super::session::Session;
use crate::Error;
use crate::experiment::RunConfig;
use crate::machine::Machine;
use crate::reporter::Reporter;
use crate::results::RunResult;
use burn::tensor::Device;
use std::path::Path;

/// What it takes to do one run.
#[derive(Clone, Copy)]
pub struct Trainer<'a> {
    /// The run.
    pub run: &'a RunConfig,
    /// Where its checkpoint is.
    pub directory: &'a Path,
    /// The device to compute on.
    pub device: &'a Device,
    /// What is said of the machine.
    pub machine: &'a Machine,
    /// Whether the trained model is kept, in `model` beside the checkpoint.
    pub keep_model: bool,
    /// Who tells the user.
    pub reporter: &'a Reporter,
}

/// How a run stands.
#[derive(Debug)]
pub enum Stand {
    /// It has ended.
    Ended(Box<RunResult>),
    /// It has come as far as was asked or further, with this mean accuracy there over the slices scored on the way.
    Paused(f64),
}

impl<'a> Trainer<'a> {
    /// Trains the run to its end, continuing from its last checkpoint if there is one.
    ///
    /// # Errors
    ///
    /// If a file cannot be written or read, or the user asked to stop, in which case a checkpoint has been written.
    pub fn train(self) -> Result<RunResult, Error> {
        let session = self.session_at(usize::MAX)?;
        self.ended(session)
    }

    /// Trains the run until the evaluation after `step` steps; it goes on from there when it is asked again.
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train).
    pub fn train_until(self, step: usize) -> Result<Stand, Error> {
        let session = self.session_at(step)?;
        match session.finished() || session.step() >= self.total() {
            true => Ok(Stand::Ended(Box::new(self.ended(session)?))),
            false => Ok(Stand::Paused(session.accuracy(step))),
        }
    }

    /// Ends the run where its last checkpoint is.
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train).
    pub fn end(self) -> Result<RunResult, Error> {
        let result = Session::start(self.run, self.directory, self.device)?.finish(self.machine)?;
        Ok(RunResult { halved: true, ..result })
    }

    fn ended(self, session: Session<'_>) -> Result<RunResult, Error> {
        if self.keep_model {
            session.save_model(&self.directory.join("model"))?;
        }
        session.finish(self.machine)
    }

    fn session_at(self, step: usize) -> Result<Session<'a>, Error> {
        let Self { run, directory, device, reporter, .. } = self;
        let mut session = Session::start(run, directory, device)?;
        let last = step.min(self.total());
        let meter = reporter.run(&run.title(), self.total(), session.step());
        while session.step() < last && !session.finished() {
            session = session.advance(&meter)?;
        }
        meter.finish();
        Ok(session)
    }

    fn total(&self) -> usize {
        self.run.training.steps(&self.run.task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Batching, Data, Experiment, runs};
    use crate::task::Task;

    /// A few steps at a rate so high that every step changes what the model says.
    fn restless() -> RunConfig {
        let mut experiment = Experiment::shipped("quick").unwrap().unwrap();
        experiment.learning_rates = vec![1.0];
        experiment.model.widths = vec![16];
        experiment.training.data = Data::Fresh { steps: 6 };
        experiment.training.batch = Batching::Examples(2);
        experiment.training.evaluate_every = Some(1);
        let Task::Mqar(task) = &mut experiment.task else { panic!("another task") };
        task.test.iter_mut().for_each(|segment| segment.examples = 20);
        runs(&experiment).remove(0)
    }

    #[test]
    fn a_run_that_has_come_further_says_how_it_stood() {
        let (run, directory) = (restless(), tempfile::tempdir().unwrap());
        let (device, machine, reporter) = (Device::default(), Machine::default(), Reporter::new());
        let trainer = Trainer {
            run: &run,
            directory: directory.path(),
            device: &device,
            machine: &machine,
            keep_model: false,
            reporter: &reporter,
        };
        let stand = |step| match trainer.train_until(step).unwrap() {
            Stand::Paused(accuracy) => accuracy,
            Stand::Ended(_) => panic!("it has not ended"),
        };
        let stands: Vec<f64> = (1..6).map(stand).collect();
        assert!(stands.iter().any(|accuracy| *accuracy != stands[4]), "{stands:?}");
        assert_eq!((1..6).map(stand).collect::<Vec<_>>(), stands, "as a resumed halving asks again");
    }
}
