//! One run of an experiment, and the key under which its result is kept.

use super::{Contestant, Experiment, Layer, ModelSettings, Retrieval, Training};
use crate::task::Task;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Changes whenever the same configuration would give another result, so that results of an older
/// version are not taken for new ones.
const GENERATION: u32 = 1;

/// Everything that the result of a run depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The contestant's name; not part of the key.
    pub contestant: String,
    /// The layers.
    pub layers: Vec<Layer>,
    /// Channels of the model.
    pub width: usize,
    /// The largest learning rate.
    pub learning_rate: f64,
    /// The seed of parameters and data.
    pub seed: u64,
    /// The task.
    pub task: Task,
    /// The settings that all models share.
    pub model: ModelSettings,
    /// The recipe.
    pub training: Training,
    /// How layers of landmark attention read tests, if not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<Retrieval>,
}

impl RunConfig {
    /// A hash of everything that the result depends on.
    pub fn key(&self) -> String {
        let model = self.model.without_widths();
        let parts = (
            GENERATION,
            &self.layers,
            self.width,
            self.learning_rate,
            self.seed,
            &self.task,
            &model,
            &self.training,
        );
        let mut text = serde_json::to_string(&parts).expect("a configuration is JSON");
        // Runs from before there was such a thing keep their keys.
        if let Some(retrieval) = &self.retrieval {
            text += &serde_json::to_string(retrieval).expect("a configuration is JSON");
        }
        Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The run in a few words.
    pub fn title(&self) -> String {
        let Self { contestant, width, learning_rate, seed, .. } = self;
        format!("{contestant}, width {width}, rate {learning_rate:e}, seed {seed}")
    }
}

/// All runs of `experiment`, in order: contestant, width, learning rate, seed.
pub fn runs(experiment: &Experiment) -> Vec<RunConfig> {
    let mut runs = Vec::new();
    for contestant in &experiment.contestants {
        let Contestant { name, layers, retrieval, .. } = contestant;
        for width in experiment.widths(contestant) {
            for learning_rate in experiment.rates(contestant) {
                for seed in &experiment.seeds {
                    runs.push(RunConfig {
                        contestant: name.clone(),
                        layers: layers.clone(),
                        width: *width,
                        learning_rate: *learning_rate,
                        seed: *seed,
                        task: experiment.task.clone(),
                        model: experiment.model.clone(),
                        training: experiment.training.clone(),
                        retrieval: retrieval.clone(),
                    });
                }
            }
        }
    }
    runs
}
