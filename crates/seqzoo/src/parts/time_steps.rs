//! The steps of discretised state spaces, as they are before training.

use crate::ConfigError;
use burn::module::Param;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

/// Larger steps than this are taken for a mistake: one of them forgets everything.
const MAX_STEP: f64 = 64.0;

/// Initial steps, log-uniform between the least and the greatest, and none below the floor.
///
/// Source: Gu & Dao 2023, <https://arxiv.org/abs/2312.00752> (sec. 3.6).
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeSteps {
    pub min: f64,
    pub max: f64,
    pub floor: f64,
}

impl TimeSteps {
    /// The published range.
    pub const PUBLISHED: Self = Self { min: 1e-3, max: 1e-1, floor: 1e-4 };

    /// Says what is wrong with the steps of `layer`, if anything is.
    pub fn check(self, layer: &str) -> Result<(), ConfigError> {
        let Self { min, max, floor } = self;
        // Apart in `f32`, too: an interval without numbers has no random one.
        let holds = min > 0.0 && max <= MAX_STEP && (min.ln() as f32) < max.ln() as f32;
        ConfigError::unless(holds, layer, || {
            format!(
                "dt_min = {min} and dt_max = {max}, but two positive numbers up to {MAX_STEP} are wanted, the first \
                 one smaller"
            )
        })?;
        ConfigError::unless((0.0..=MAX_STEP).contains(&floor), layer, || {
            format!("dt_floor = {floor}, but a number from 0 to {MAX_STEP} is wanted")
        })
    }

    /// The natural logarithms of `count` steps.
    pub fn logarithms(self, count: usize, device: &Device) -> Param<Tensor<1>> {
        let floor = self.floor.max(f64::from(f32::MIN_POSITIVE)).ln();
        Initializer::Uniform { min: self.min.ln(), max: self.max.ln() }
            .init([count], device)
            .init_mapper(move |log: Tensor<1>| log.clamp_min(floor))
    }

    /// What `softplus` makes `count` steps of.
    pub fn biases(self, count: usize, device: &Device) -> Param<Tensor<1>> {
        self.logarithms(count, device).init_mapper(|log: Tensor<1>| inverse_softplus(log.exp()))
    }
}

/// `x` with `softplus(x) = y`: `ln(e^y − 1)`, in a form that is exact for small `y`.
pub(crate) fn inverse_softplus(y: Tensor<1>) -> Tensor<1> {
    let half = y.div_scalar(2.0);
    half.clone().sinh().mul_scalar(2.0).log() + half
}
