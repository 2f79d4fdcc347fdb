//! The layer norm after the inner model.

use super::options::InnerNorm;
use crate::precision::to_dtype;
use burn::tensor::{DType, Tensor};

/// Layer normalisation with a gain and an offset per head.
pub(super) struct Norm {
    gain: Tensor<2>,   // [h, k]
    offset: Tensor<2>, // [h, k]
    epsilon: f64,
}

/// Tokens of mean 0 and variance 1, and what they were divided by.
struct Normalised<const D: usize> {
    tokens: Tensor<D>,
    deviation: Tensor<D>,
}

impl Norm {
    pub fn new(norm: InnerNorm, epsilon: f64, dtype: DType) -> Self {
        Self { gain: to_dtype(norm.gain, dtype), offset: to_dtype(norm.offset, dtype), epsilon }
    }

    /// `w ⊙ (x - mean) / √(variance + ε) + c` of tokens `[b, h, .., k]`.
    pub fn forward<const D: usize>(&self, tokens: Tensor<D>) -> Tensor<D> {
        self.normalise(tokens).tokens * per_head(&self.gain) + per_head(&self.offset)
    }

    /// The gradient of `½ ‖LN(answer) - target‖²` with respect to the answer, `[b, h, c, k]`.
    pub fn error(&self, answer: Tensor<4>, target: Tensor<4>) -> Tensor<4> {
        let Normalised { tokens, deviation } = self.normalise(answer);
        let gain = per_head::<4>(&self.gain);
        let difference = tokens.clone() * gain.clone() + per_head(&self.offset) - target;
        let gradient = difference * gain; // with respect to the normalised answer
        let along = mean(gradient.clone() * tokens.clone());
        (gradient.clone() - mean(gradient) - tokens * along) / deviation
    }

    fn normalise<const D: usize>(&self, tokens: Tensor<D>) -> Normalised<D> {
        let centred = tokens.clone() - mean(tokens);
        let deviation = mean(centred.clone().square()).add_scalar(self.epsilon).sqrt();
        Normalised { tokens: centred / deviation.clone(), deviation }
    }
}

/// The mean of every token's channels, `[.., 1]`. Multiplied, not divided: the gradient of Burn's `div_scalar` is rounded
/// to `f32`.
fn mean<const D: usize>(tokens: Tensor<D>) -> Tensor<D> {
    let channels = tokens.dims()[D - 1];
    tokens.sum_dim(D - 1).mul_scalar(1.0 / channels as f64)
}

/// `[h, k]` as `[1, h, .., k]`.
fn per_head<const D: usize>(channels: &Tensor<2>) -> Tensor<D> {
    let [heads, width] = channels.dims();
    let mut shape = [1; D];
    (shape[1], shape[D - 1]) = (heads, width);
    channels.clone().reshape(shape)
}
