//! A zoo of efficient sequence-model layers for [Burn](burn): one set of parameters per layer, a
//! parallel form to train and a recurrent form to stream at constant memory.
//!
//! * [`layers`]: one layer per file, each a [`SequenceMixer`].
//! * [`Mixer`] and [`MixerConfig`]: any layer, named as data.
//! * [`models`]: a language model over any pattern of layers, and generation from it.
//! * [`mod@state`]: what a layer remembers, to save, load, fork, select and detach.
//! * [`parts`]: the modules that layers share.
//! * [`checkpoint`]: published models, read and written as their libraries do.
//! * [`training`]: a checkpoint of a training, resumable to the same bits.
//! * [`files`]: files that are whole or not there.
//! * [`WeightDecay`]: which parameters an optimizer should decay.
//! * [`layer!`] and [`state!`](crate::state!): declare a layer of your own; `testing` (a feature) holds it to the law.
//! * [`ops`]: the operators beneath, without parameters.
//!
//! # The law of the zoo
//!
//! For every layer, `forward` over a sequence = `forward` over any split of it = `step` token by
//! token, in outputs, states and gradients. The caller owns the state; the layer never does.
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use seqzoo::{SequenceMixer, layers::GatedLinearAttentionConfig};
//!
//! let device = Device::default();
//! let layer = GatedLinearAttentionConfig::new(32).with_num_heads(2).init(&device);
//! let input = Tensor::<3>::random([1, 10, 32], Distribution::Default, &device);
//!
//! let (whole, _) = layer.forward(input.clone(), None);
//!
//! let (_, state) = layer.forward(input.clone().narrow(1, 0, 9), None);
//! let (last, _) = layer.step(input.narrow(1, 9, 1).squeeze_dim(1), state);
//!
//! let difference = whole.narrow(1, 9, 1).squeeze_dim(1) - last;
//! assert!(difference.abs().max().into_scalar::<f32>() < 1e-5);
//! ```
#![warn(missing_docs)]
#![recursion_limit = "256"]

pub use seqzoo_ops as ops;

pub mod checkpoint;
pub mod files;
pub mod layers;
pub mod models;
pub mod parts;
pub mod state;
#[cfg(feature = "testing")]
pub mod testing;
pub mod training;

mod config;
mod contract;
mod digest;
mod error;
mod mixer;
mod weight_decay;

pub use config::check_floats;
pub use contract::{Layer, LayerConfig, SequenceMixer};
pub use error::{CheckpointError, ConfigError, GenerateError, StateError};
pub use mixer::{AnyState, Mixer, MixerConfig};
pub use state::{MixerState, StateBytes};
pub use weight_decay::{Undecayed, WeightDecay};

/// The names that macros need.
#[doc(hidden)]
pub mod macros {
    pub use burn::tensor::Device;
}
