//! Everything that is found out about a model without training it.

use super::cost::cost;
use super::evaluate::{Scope, cleared, evaluate};
use crate::Error;
use crate::experiment::RunConfig;
use crate::machine::Machine;
use crate::results::{RunResult, SliceAccuracy, mean_accuracy};
use burn::module::Module;
use burn::tensor::Device;
use seqzoo::models::LanguageModel;
use std::time::Instant;

/// Scores `model`, which was trained elsewhere, on the tests of `run`.
///
/// # Errors
///
/// If the user asked to stop.
pub fn score(
    model: &LanguageModel,
    run: &RunConfig,
    device: &Device,
    machine: &Machine,
) -> Result<RunResult, Error> {
    let start = Instant::now();
    let result = examine(model, run, device, machine, None)?;
    Ok(RunResult { wall_seconds: start.elapsed().as_secs_f64(), ..result })
}

/// What `model` can do on the tests of `run` and what it costs to run, given the accuracies that are known already. Of
/// its training nothing is said: no steps and no time.
///
/// # Errors
///
/// If the user asked to stop.
pub(super) fn examine(
    model: &LanguageModel,
    run: &RunConfig,
    device: &Device,
    machine: &Machine,
    known: Option<Vec<SliceAccuracy>>,
) -> Result<RunResult, Error> {
    let slices = match known {
        Some(slices) => slices,
        None => evaluate(model, run, device, Scope::All)?,
    };
    let cleared = cleared(model, run, device)?;
    let (state, step_microseconds) = cost(model, run, device);
    Ok(RunResult {
        key: run.key(),
        contestant: run.contestant.clone(),
        width: run.width,
        learning_rate: run.learning_rate,
        seed: run.seed,
        accuracy: mean_accuracy(&slices),
        slices,
        cleared,
        diverged: false,
        halved: false,
        parameters: model.num_params(),
        state,
        steps: 0,
        training_tokens_per_second: 0.0,
        step_microseconds,
        wall_seconds: 0.0,
        curve: Vec::new(),
        forms: Vec::new(),
        machine: machine.clone(),
    })
}
