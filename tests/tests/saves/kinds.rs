//! The kinds of things that are saved, each in an old and a new version that differ in every part.

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use seqzoo::checkpoint::{self, Architecture};
use seqzoo::layers::{GatedLinearAttentionConfig, GatedLinearAttentionState};
use seqzoo::models::{ChannelMixerConfig, LanguageModel, LanguageModelConfig};
use seqzoo::parts::ProjectionInit;
use seqzoo::training::{Random, TrainingCheckpoint};
use seqzoo::{MixerConfig, MixerState, SequenceMixer};
use std::path::Path;

/// Something that is saved at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    State,
    Model,
    /// A model in a published format.
    Published,
    Training,
}

pub const KINDS: [Kind; 4] = [Kind::State, Kind::Model, Kind::Published, Kind::Training];

impl Kind {
    /// Saves the version of the number `version` at `path`.
    pub fn save(self, version: u64, path: &Path) -> Result<(), String> {
        match self {
            Self::State => {
                state(version).save_with_note(path, &note(version)).map_err(|error| error.to_string())
            }
            Self::Model => model(version).save(path).map_err(|error| error.to_string()),
            Self::Published => checkpoint::write(&published(version), path, Architecture::Gla)
                .map_err(|error| error.to_string()),
            Self::Training => training(version).save(path).map_err(|error| error.to_string()),
        }
    }

    /// All that the version of the number `version` says.
    pub fn contents(self, version: u64) -> String {
        match self {
            Self::State => said_by_state(&state(version), &note(version)),
            Self::Model => said_by_model(&model(version)),
            Self::Published => said_by_model(&published(version)),
            Self::Training => said_by_training(&training(version)),
        }
    }

    /// All that what lies at `path` says.
    pub fn load(self, path: &Path) -> Result<String, String> {
        let device = Device::flex();
        match self {
            Self::State => {
                let fresh = layer().init_state(1, &device);
                let (loaded, note) =
                    fresh.load_with_note(path, &device).map_err(|error| error.to_string())?;
                Ok(said_by_state(&loaded, &note.ok_or("there is no note")?))
            }
            Self::Model => {
                let loaded = LanguageModel::load(path, &device).map_err(|error| error.to_string())?;
                Ok(said_by_model(&loaded))
            }
            Self::Published => {
                let read = checkpoint::read(path, &device).map_err(|error| error.to_string())?;
                Ok(said_by_model(&read))
            }
            Self::Training => {
                let loaded = TrainingCheckpoint::load(path, small(&device.autodiff()), optimizer);
                let loaded = loaded.map_err(|error| error.to_string())?.ok_or("there is no checkpoint")?;
                Ok(said_by_training(&loaded))
            }
        }
    }
}

fn layer() -> seqzoo::layers::GatedLinearAttention {
    GatedLinearAttentionConfig::new(16).with_num_heads(2).init(&Device::flex())
}

fn state(version: u64) -> GatedLinearAttentionState {
    let mut state = layer().init_state(1 + version as usize, &Device::flex());
    state.memory = state.memory.ones_like().mul_scalar(version as f32);
    state
}

/// What lies beside the state in its file.
fn note(version: u64) -> String {
    format!("of version {version}: \"\u{e4}\"\n").repeat(1 + version as usize)
}

fn said_by_state(state: &GatedLinearAttentionState, note: &str) -> String {
    format!("{:?} {note}", state.memory.to_data())
}

/// Of each version another width, number of layers and epsilon.
pub fn model(version: u64) -> LanguageModel {
    let width = 8 * (1 + version as usize);
    let pattern = vec![MixerConfig::published("base_conv", width).unwrap(); 1 + version as usize];
    let config = LanguageModelConfig::new(11, width, pattern).with_norm_epsilon(1e-6 * (1 + version) as f64);
    filled(config.init(&Device::flex()), version)
}

/// The same of a model that a published format holds.
fn published(version: u64) -> LanguageModel {
    let (width, epsilon) = (8 * (1 + version as usize), 1e-6 * (1 + version) as f64);
    let initializer = ProjectionInit::Normal { std: 0.02 };
    let layer = GatedLinearAttentionConfig::new(width).with_num_heads(2).with_norm_epsilon(epsilon);
    let config = LanguageModelConfig::new(11, width, vec![layer.with_initializer(initializer).into()])
        .with_num_layers(Some(1 + version as usize))
        .with_channel_mixer(ChannelMixerConfig::SwiGluOf { hidden: 4 })
        .with_norm_epsilon(epsilon)
        .with_initializer(initializer);
    filled(config.init(&Device::flex()), version)
}

fn said_by_model(model: &LanguageModel) -> String {
    let tokens = Tensor::<2, Int>::from_ints([[1, 2, 3, 4]], &Device::flex());
    format!("{} {:?}", model.config(), model.forward(tokens, None).0.to_data())
}

/// A model whose parameters are the same at every call.
pub fn small(device: &Device) -> LanguageModel {
    let pattern = vec![MixerConfig::published("gated_linear_attention", 8).unwrap()];
    filled(LanguageModelConfig::new(11, 8, pattern).init(device), 3)
}

/// `model` with parameters that are the same in every process: those of a device's generator depend on what other
/// threads draw.
fn filled(model: LanguageModel, version: u64) -> LanguageModel {
    struct Fill(f64);
    impl ModuleMapper for Fill {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 0.37;
            let phase = self.0;
            parameter.map(|tensor| {
                let count = tensor.dims().iter().product::<usize>();
                let values: Vec<f32> =
                    (0..count).map(|index| (index as f64 + phase).sin() as f32 * 0.3).collect();
                let filled = Tensor::from_data(TensorData::new(values, tensor.dims()), &tensor.device());
                filled.set_require_grad(tensor.is_require_grad())
            })
        }
    }
    model.map(&mut Fill(version as f64))
}

pub fn optimizer(_: &LanguageModel) -> ModuleOptimizer {
    AdamWConfig::new().init()
}

pub type Training = TrainingCheckpoint<LanguageModel, Vec<f64>>;

/// A training of the small model before its first step.
pub fn fresh() -> Training {
    let model = small(&Device::flex().autodiff());
    let optimizer = optimizer(&model);
    Training::new(model, optimizer, Random::new(7))
}

/// One step on random tokens.
pub fn learn(mut training: Training) -> Training {
    let device = Device::flex().autodiff();
    let tokens: Vec<i64> = (0..12).map(|_| training.random.below(11) as i64).collect();
    let tokens = Tensor::<1, Int>::from_ints(tokens.as_slice(), &device).reshape([2, 6]);
    let loss = training.model.forward(tokens, None).0.square().mean();
    training.progress.push(f64::from(loss.clone().into_scalar::<f32>()));
    let gradients = GradientsParams::from_grads(loss.backward(), &training.model);
    training.model = training.optimizer.step(0.01, training.model, gradients);
    training.step += 1;
    training
}

fn training(version: u64) -> Training {
    (0..1 + version).fold(fresh(), |training, _| learn(training))
}

/// The training, and the loss of its next step, which depends on every moment of the optimizer.
pub fn said_by_training(training: &Training) -> String {
    let next = learn(learn(training.clone()));
    let weights = next.model.valid().embedding.weight.val().to_data();
    format!("{} {:?} {:?} {weights:?}", training.step, training.progress, next.progress)
}
