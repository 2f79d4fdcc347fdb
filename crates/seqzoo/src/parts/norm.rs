//! Root-mean-square normalisation, plain and gated.

use crate::ops::{accumulator, checks, to_dtype};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, activation::sigmoid, activation::silu};

/// Root-mean-square normalisation over the last axis: `y = γ ⊙ x / sqrt(mean(x²) + ε)`.
///
/// It computes in `f32` or wider and returns the dtype of its input, so `f64` stays `f64`.
///
/// Source: Zhang & Sennrich 2019, <https://arxiv.org/abs/1910.07467> (eq. 4).
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// The scale `γ`, `[D]`, ones initially; where it is [zero-centred](Self::zero_centred), what the scale is more than 1.
    pub gamma: Param<Tensor<1>>,
    epsilon: f64,
    zero_centred: bool,
}

impl RmsNorm {
    /// A norm over `channels` channels.
    pub fn new(channels: usize, epsilon: f64, device: &Device) -> Self {
        Self { gamma: Initializer::Ones.init([channels], device), epsilon, zero_centred: false }
    }

    /// The same with the scale `1 + γ`, where `γ` is zeros initially, as Gemma and Qwen3-Next keep it.
    pub fn zero_centred(channels: usize, epsilon: f64, device: &Device) -> Self {
        Self { gamma: Initializer::Zeros.init([channels], device), epsilon, zero_centred: true }
    }

    /// `[.., D]` to `[.., D]`.
    ///
    /// # Panics
    ///
    /// If the input has other channels.
    #[track_caller]
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        checks::channels("input", input.dims()[D - 1], self.gamma.dims()[0]);
        let dtype = input.dtype();
        let normed = root_mean_square_norm(to_dtype(input, accumulator(dtype)), self.epsilon);
        let gamma = to_dtype(self.gamma.val(), accumulator(dtype));
        let scale = if self.zero_centred { gamma.add_scalar(1.0) } else { gamma };
        to_dtype(normed * scale.unsqueeze(), dtype)
    }
}

/// `x / sqrt(mean(x²) + ε)` over the last axis: the norm without a scale. It computes in `f32` or wider and returns the
/// dtype of its input.
pub(crate) fn root_mean_square_norm<const D: usize>(input: Tensor<D>, epsilon: f64) -> Tensor<D> {
    let dtype = input.dtype();
    let wide = to_dtype(input, accumulator(dtype));
    let root = wide.clone().square().mean_dim(D - 1).add_scalar(epsilon).sqrt();
    to_dtype(wide / root, dtype)
}

/// The activation of a gate before it multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum GateActivation {
    /// `silu(g) = g σ(g)`, what most layers have.
    #[default]
    Silu,
    /// `σ(g)`, as in Kimi delta attention.
    Sigmoid,
}

/// Root-mean-square normalisation, then a gate: `y = RMSNorm(x) ⊙ silu(g)`, or with [another
/// activation](GateActivation) of the gate.
///
/// The norm comes before the gate, as in GLA and RetNet; Mamba-2 has them the other way round.
#[derive(Module, Debug)]
pub struct GatedRmsNorm {
    /// The norm.
    pub norm: RmsNorm,
    #[module(skip)]
    activation: GateActivation,
}

impl GatedRmsNorm {
    /// A norm over `channels` channels, gated by `silu`.
    pub fn new(channels: usize, epsilon: f64, device: &Device) -> Self {
        Self { norm: RmsNorm::new(channels, epsilon, device), activation: GateActivation::Silu }
    }

    /// The same norm with another activation of the gate.
    pub fn with_activation(self, activation: GateActivation) -> Self {
        Self { activation, ..self }
    }

    /// `input` and `gate`, both `[.., D]`, to `[.., D]`; the norm alone where there is no gate.
    pub fn forward<const D: usize>(&self, input: Tensor<D>, gate: Option<Tensor<D>>) -> Tensor<D> {
        let normed = self.norm.forward(input);
        match (gate, self.activation) {
            (None, _) => normed,
            (Some(gate), GateActivation::Silu) => normed * silu(gate),
            (Some(gate), GateActivation::Sigmoid) => normed * sigmoid(gate),
        }
    }
}
