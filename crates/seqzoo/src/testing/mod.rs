//! Checks for any [`SequenceMixer`], yours included: what every layer of the zoo is tested for. Behind the
//! feature `testing`.
//!
//! A [`Trial`] runs a layer on random inputs and panics with a sentence about the first thing that is not as the
//! [contract](SequenceMixer) says.
//!
//! ```
//! use burn::tensor::Device;
//! use seqzoo::{layers::GatedLinearAttentionConfig, testing::Trial};
//!
//! let device = Device::default().autodiff();
//! let layer = GatedLinearAttentionConfig::new(8).with_num_heads(2).init(&device);
//! Trial::new(8, &device).with_time(10).all(&layer);
//! ```

mod double;
mod interruption;
mod outcome;
mod random;
mod trial;

pub use double::double;
pub use interruption::{Interruption, interrupted};
pub use random::{flags, randomised};
pub use trial::Trial;

#[cfg(doc)]
use crate::SequenceMixer;
