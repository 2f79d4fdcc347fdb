//! Everything that is found out about a model without training it.

use super::cost::cost;
use super::evaluate::{Scope, cleared, evaluate};
use crate::Error;
use crate::experiment::RunConfig;
use crate::results::SliceAccuracy;
use burn::tensor::Device;
use seqzoo::StateBytes;
use seqzoo::models::LanguageModel;

/// What a model can do, and what it costs to run.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The accuracy of every test slice.
    pub slices: Vec<SliceAccuracy>,
    /// The accuracy where the state is cleared before the question, in tasks that ask once.
    pub cleared: Option<f64>,
    /// The state of one sequence after the longest test example.
    pub state: StateBytes,
    /// Median time of a decoding step of one sequence.
    pub step_microseconds: f64,
}

/// Scores `model` on the tests of `run`, given the accuracies that are known already.
///
/// # Errors
///
/// If the user asked to stop.
pub fn examine(
    model: &LanguageModel,
    run: &RunConfig,
    device: &Device,
    known: Option<Vec<SliceAccuracy>>,
) -> Result<Findings, Error> {
    let slices = match known {
        Some(slices) => slices,
        None => evaluate(model, run, device, Scope::All)?,
    };
    let cleared = cleared(model, run, device)?;
    let (state, step_microseconds) = cost(model, run, device);
    Ok(Findings { slices, cleared, state, step_microseconds })
}
