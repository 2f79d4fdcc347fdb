//! The real-gated linear recurrent unit of Griffin.

use super::{ProjectionInit, inverse_softplus};
use crate::Undecayed;
use crate::ops::linear_scan::{Factor, LinearScanOptions, linear_scan};
use crate::ops::{accumulator, to_dtype};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::{sigmoid, softplus};
use burn::tensor::{Bool, Device, Tensor};

/// Multiplies the recurrence gate: at a gate of 1 a channel keeps `a^8` of its state.
const SHARPNESS: f64 = 8.0;

/// What a channel keeps at a gate of 1 is uniform between these initially.
const KEPT: (f64, f64) = (0.9, 0.999);

/// The largest derivative of a root.
const MAX_ROOT_GRADIENT: f64 = 1000.0;

/// A linear map of every head by itself, with a bias.
#[derive(Module, Debug)]
pub struct BlockLinear {
    /// `[H, in, out]`.
    pub weight: Param<Tensor<3>>,
    /// `[H, out]`.
    pub bias: Param<Tensor<2>>,
}

impl BlockLinear {
    pub(crate) fn new(heads: usize, channels: usize, init: ProjectionInit, device: &Device) -> Self {
        let shape = [heads, channels, channels];
        Self {
            weight: init.input(channels).init_with(shape, Some(channels), Some(channels), device),
            bias: Initializer::Zeros.init([heads, channels], device),
        }
    }

    /// `[B, T, H·in]` to `[B, T, H·out]`.
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let [batch, time, width] = input.dims();
        let weight = self.weight.val();
        let [heads, channels, out] = weight.dims();
        let blocks = input.reshape([batch * time, heads, channels]).swap_dims(0, 1); // [h, b t, in]
        let mapped = blocks.matmul(weight).swap_dims(0, 1) + self.bias.val().unsqueeze(); // [b t, h, out]
        mapped.reshape([batch, time, width / channels * out])
    }
}

/// The real-gated linear recurrent unit: a moving average per channel, whose rate and input a token gates.
///
/// ```text
/// r_t = σ(W_r x_t + b_r)          i_t = σ(W_i x_t + b_i)
/// a_t = exp(−8 r_t softplus(Λ))
/// h_t = a_t ⊙ h_{t-1} + √(1 − a_t²) ⊙ i_t ⊙ x_t
/// ```
///
/// Where
///
/// * `W_r` and `W_i` are block-diagonal, a block per head,
/// * `a_t` at `r_t = 1` is uniform in `[0.9, 0.999]` initially,
/// * at the first token of a sequence `h_1 = i_1 ⊙ x_1`: there is no past to average with.
///
/// The derivative of the root is at most 1000, as in the published code. Without that, channels that keep everything
/// would have an infinite gradient.
///
/// Source: De et al. 2024, <https://arxiv.org/abs/2402.19427> (sec. 2.4, eq. 1 to 4). Its `a` is `σ(−Λ)` here.
#[derive(Module, Debug)]
pub struct RealGatedLru {
    /// `W_i` and `b_i`.
    pub input_gate: BlockLinear,
    /// `W_r` and `b_r`.
    pub recurrence_gate: BlockLinear,
    /// `Λ`, `[E]`.
    pub lambda: Undecayed<1>,
}

impl RealGatedLru {
    /// `heads` heads of `channels` channels.
    pub(crate) fn new(heads: usize, channels: usize, init: ProjectionInit, device: &Device) -> Self {
        let gate = || BlockLinear::new(heads, channels, init, device);
        let kept = Initializer::Uniform { min: KEPT.0, max: KEPT.1 }.init([heads * channels], device);
        let lambda = kept.init_mapper(|kept: Tensor<1>| inverse_softplus(kept.log().div_scalar(-SHARPNESS)));
        Self { input_gate: gate(), recurrence_gate: gate(), lambda: lambda.into() }
    }

    /// Zeros for `batch` sequences: the state `[B, E]`, and `[B, 1]` that says whether a token has passed.
    pub fn init_state(&self, batch: usize, device: &Device) -> (Tensor<2>, Tensor<2>) {
        let lambda = self.lambda.val();
        let options = (device, accumulator(lambda.dtype()));
        (Tensor::zeros([batch, lambda.dims()[0]], options), Tensor::zeros([batch, 1], options))
    }

    /// `[B, T, E]` to `[B, T, E]`, and the state after the last token.
    pub fn forward(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        (memory, seen): (Tensor<2>, Tensor<2>),
    ) -> (Tensor<3>, (Tensor<2>, Tensor<2>)) {
        let dtype = input.dtype();
        let wide = accumulator(dtype);
        let recurrence = sigmoid(to_dtype(self.recurrence_gate.forward(input.clone()), wide));
        let gate = sigmoid(to_dtype(self.input_gate.forward(input.clone()), wide));
        let rates = softplus(to_dtype(self.lambda.val(), wide), 1.0).mul_scalar(SHARPNESS);
        let rates = recurrence * rates.unsqueeze(); // −ln a: [b, t, e]
        let factor = rates.clone().neg().exp();
        // 1 − a² = tanh(−ln a) (1 + a²), in which nothing cancels where a is close to 1.
        let complement = rates.tanh() * factor.clone().square().add_scalar(1.0);
        let past = before(to_dtype(seen.clone(), wide), input.dims()[1], resets.as_ref());
        // √(1 − a²) after a past, 1 without one.
        let share = past * root(complement).sub_scalar(1.0);
        let written = to_dtype(input, wide) * gate * share.add_scalar(1.0);
        let options = LinearScanOptions { initial_state: Some(memory), resets, ..Default::default() };
        let (states, memory) = linear_scan(written, Factor::PerToken(factor), options);
        (to_dtype(states, dtype), (memory, seen.ones_like()))
    }
}

/// Whether tokens have passed in the sequence before each of `time` tokens, `[B, T, 1]`, from the same for the first one,
/// `[B, 1]`: 1 or 0.
fn before(seen: Tensor<2>, time: usize, resets: Option<&Tensor<2, Bool>>) -> Tensor<3> {
    let [batch, _] = seen.dims();
    let all = match time {
        1 => seen,
        _ => {
            let later = Tensor::ones([batch, time - 1], (&seen.device(), seen.dtype()));
            Tensor::cat(vec![seen, later], 1)
        }
    };
    let all = match resets {
        Some(resets) => all.mask_fill(resets.clone(), 0.0),
        None => all,
    };
    all.unsqueeze_dim(2)
}

/// `√x` of numbers from 0, with a derivative of at most [`MAX_ROOT_GRADIENT`].
fn root(x: Tensor<3>) -> Tensor<3> {
    if !x.is_autodiff() {
        return x.sqrt();
    }
    let steepest = 0.25 / (MAX_ROOT_GRADIENT * MAX_ROOT_GRADIENT); // where the derivative is that
    let root = x.clone().clamp_min(steepest).sqrt();
    // Below, the right number, and the derivative of a straight line.
    let less = x.clone().clamp_max(steepest);
    let line = (less.clone() - less.clone().detach()).mul_scalar(MAX_ROOT_GRADIENT);
    let missing = less.detach().sqrt().sub_scalar(steepest.sqrt());
    root + line + missing
}
