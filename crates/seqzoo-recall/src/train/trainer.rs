//! The training loop.

use super::session::Session;
use crate::Error;
use crate::experiment::RunConfig;
use crate::machine::Machine;
use crate::reporter::Reporter;
use crate::results::RunResult;
use burn::tensor::Device;
use std::path::Path;

/// Trains one run in `directory`, continuing from its last checkpoint if there is one.
///
/// # Errors
///
/// If a file cannot be written or read, or the user asked to stop, in which case a checkpoint has
/// been written.
pub fn train(
    run: &RunConfig,
    directory: &Path,
    device: &Device,
    machine: &Machine,
    reporter: &Reporter,
) -> Result<RunResult, Error> {
    let mut session = Session::start(run, directory, device)?;
    let total = run.training.steps(&run.task);
    let meter = reporter.run(&run.title(), total, session.step());
    while session.step() < total && !session.finished() {
        session = session.advance(&meter)?;
    }
    let result = session.finish(machine)?;
    meter.finish();
    Ok(result)
}
