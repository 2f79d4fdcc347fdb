//! Training that can be stopped at any moment and goes on to the same bits.
//!
//! ```
//! use burn::module::Module;
//! use burn::optim::GradientsParams;
//! use burn::tensor::{Device, Distribution, Tensor};
//! use seqzoo::layers::GatedLinearAttentionConfig;
//! use seqzoo::training::{AdamWConfig, Random, TrainingCheckpoint};
//! use seqzoo::{CheckpointError, SequenceMixer};
//! # let place = std::env::temp_dir().join(format!("seqzoo-training-{}", std::process::id()));
//!
//! let device = Device::default().autodiff();
//! let new_layer = || GatedLinearAttentionConfig::new(16).with_num_heads(2).init(&device);
//! let new_optimizer = || AdamWConfig::new().init();
//!
//! let mut training = match TrainingCheckpoint::<_>::load(&place, new_layer(), |_| new_optimizer())? {
//!     Some(training) => training,
//!     None => TrainingCheckpoint::new(new_layer(), new_optimizer(), Random::new(0)),
//! };
//! while training.step < 3 {
//!     training.random.seed_device(&device); // whatever the step draws follows from the checkpoint
//!     let input = Tensor::random([1, 8, 16], Distribution::Default, &device);
//!     let loss = training.model.forward(input, None).0.square().mean();
//!     let gradients = GradientsParams::from_grads(loss.backward(), &training.model);
//!     training.model = training.optimizer.step(1e-3, training.model, gradients);
//!     training.step += 1;
//!     training.save(&place)?;
//! }
//! # std::fs::remove_dir_all(&place).unwrap();
//! # Ok::<(), CheckpointError>(())
//! ```

mod adamw;
mod checkpoint;
mod file;
mod precision;
mod random;

pub use adamw::{AdamW, AdamWConfig};
pub use checkpoint::TrainingCheckpoint;
pub use precision::in_precision;
pub use random::Random;
