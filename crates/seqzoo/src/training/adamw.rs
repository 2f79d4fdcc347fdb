//! AdamW in one pass over the weights.

use crate::ops::Form;
use crate::ops::adamw::{AdamWResult, AdamWStep, adamw};
use burn::config::Config;
use burn::optim::{AdamWState, AdaptiveMomentumState, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

/// Configuration of [`AdamW`].
#[derive(Config, Debug)]
pub struct AdamWConfig {
    /// `β₁`. Default: `0.9`.
    #[config(default = 0.9)]
    pub beta_1: f32,
    /// `β₂`. Default: `0.999`.
    #[config(default = 0.999)]
    pub beta_2: f32,
    /// `ε`. Default: `1e-8`, as in PyTorch.
    #[config(default = 1e-8)]
    pub epsilon: f32,
    /// The weight decay `λ`. Default: `0.01`, as in PyTorch.
    #[config(default = 1e-2)]
    pub weight_decay: f32,
}

impl AdamWConfig {
    /// The optimizer of a module.
    pub fn init(&self) -> ModuleOptimizer {
        ModuleOptimizer::from(self.build())
    }

    /// The optimizer of a group of parameters, for [`ModuleOptimizer::with_group`].
    pub fn build(&self) -> AdamW {
        AdamW { config: self.clone() }
    }
}

/// AdamW, as Burn's own, in one pass over weights, gradients and moments on the CPU: see [`adamw`].
///
/// Its state is that of Burn's [`AdamW`](burn::optim::AdamW), so that records of one continue with the other.
///
/// Source: Loshchilov & Hutter 2017, <https://arxiv.org/abs/1711.05101> (algorithm 2).
///
/// Should be created with [`AdamWConfig`].
#[derive(Clone, Debug)]
pub struct AdamW {
    config: AdamWConfig,
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        weight: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let AdamWConfig { beta_1, beta_2, epsilon, weight_decay } = self.config;
        let (time, moments) = match state {
            Some(AdamWState { momentum }) => (momentum.time, Some([momentum.moment_1, momentum.moment_2])),
            None => (0, None),
        };
        let step = AdamWStep { rate, beta_1, beta_2, epsilon, weight_decay, time: time as i32 + 1 };
        let AdamWResult { weight, moments } = adamw(weight, gradient, moments, step, Form::Auto);
        let [first, second] = moments;
        (weight, Some(AdamWState::new(AdaptiveMomentumState::new(time + 1, first, second))))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        AdamWState { momentum: state.momentum.to_device(device) }
    }
}
