//! AdamW, with weight decay where the recipe wants it.

use crate::experiment::{Decay, Training};
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use seqzoo::WeightDecay;
use seqzoo::training::AdamWConfig;

/// The optimizer for the parameters of `module`, which must already have their final identities.
pub(super) fn optimizer<M: Module>(module: &M, training: &Training) -> ModuleOptimizer {
    let adam = AdamWConfig::new().with_beta_2(training.beta_2 as f32);
    let decayed = adam.clone().with_weight_decay(training.weight_decay as f32);
    match training.decay {
        Decay::All => decayed.init(),
        Decay::Matrices => {
            let undecayed = adam.with_weight_decay(0.0).build();
            decayed.init().with_group(WeightDecay::of(module).undecayed(), undecayed, None)
        }
    }
}
