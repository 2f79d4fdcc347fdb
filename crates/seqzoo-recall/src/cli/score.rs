//! `score`: a model that is there.

use super::arguments::Common;
use super::run::{find, finish, use_threads};
use crate::experiment::{Contestant, Experiment, Layer, runs};
use crate::machine::Machine;
use crate::results::Store;
use crate::{Error, device, stop, train};
use seqzoo::models::LanguageModel;
use std::path::Path;

/// Scores the model in `directory` on the tests of an experiment, and reports as on a run.
pub(super) fn score(name: &str, directory: &Path, common: &Common) -> Result<bool, Error> {
    let experiment = find(name)?;
    let out =
        common.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("{}-scored", experiment.name)));
    Store::check_free(&out)?;
    let (device_name, device) = device::find(common.device.as_deref())?;
    let machine = Machine::here(&device_name, use_threads(common)?, 1);
    let model = LanguageModel::load(directory, &device)?;
    let (knows, wants) = (model.config().vocab_size, experiment.task.vocabulary());
    if knows < wants {
        return Err(Error::Argument(format!(
            "{} knows {knows} tokens, but the task `{}` has {wants}",
            directory.display(),
            experiment.task.kind()
        )));
    }
    stop::listen();
    let experiment = with_only(experiment, &model, directory, common)?;
    let result = train::score(&model, &runs(&experiment)[0], &device, &machine)?;
    finish(vec![(experiment, vec![result])], &out, common)
}

/// The experiment with the model as its one contestant, which learns at no rate.
fn with_only(
    experiment: Experiment,
    model: &LanguageModel,
    directory: &Path,
    common: &Common,
) -> Result<Experiment, Error> {
    let config = model.config();
    let layer = |index: usize| {
        let value = serde_json::to_value(&config.pattern[index % config.pattern.len()]);
        value.and_then(serde_json::from_value::<Layer>)
    };
    let layers = (0..model.blocks.len()).map(layer).collect::<Result<_, _>>();
    let layers = layers.map_err(|error| Error::contents(directory, error))?;
    Ok(Experiment {
        seeds: vec![common.seed.unwrap_or(experiment.seeds[0])],
        learning_rates: vec![0.0],
        halving: Vec::new(),
        contestants: vec![Contestant {
            name: directory.display().to_string(),
            layers,
            width: Some(config.d_model),
            state_bytes: None,
            chosen: None,
            learning_rates: Vec::new(),
            retrieval: None,
        }],
        expectations: Vec::new(),
        ..experiment
    })
}
