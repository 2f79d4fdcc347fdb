//! Feature maps of linear attention that make other channels of those of a head.

mod kernel;

use super::runs_kernel;
use crate::form::Form;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Tensor, activation};

/// A map of the channels of a head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Map {
    /// Numbers, and their products in pairs.
    Taylor,
    /// Shares of twice the numbers and of their opposites.
    Hedgehog,
}

impl Map {
    /// The features of `channels` channels.
    fn features(self, channels: usize) -> usize {
        match self {
            Self::Taylor => 1 + channels + channels * (channels + 1) / 2,
            Self::Hedgehog => 2 * channels,
        }
    }
}

/// The features whose products are the second-order Taylor expansion of `exp(q·k / √d)`, over the last axis:
///
/// ```text
/// φ(x) = [1, x / d^¼, x_i² / √(2d), x_i x_j / √d for i < j]
/// ```
///
/// # Shapes
///
/// `[.., d]` to `[.., 1 + d + d(d + 1)/2]`. It is computed in `f32` or wider; the output has the dtype of the input.
///
/// Source: Based, Arora et al. 2024, <https://arxiv.org/abs/2402.18668> (sec. 4).
///
/// # Panics
///
/// If there are no channels, or a form is asked for that there is not.
#[track_caller]
pub fn taylor<const D: usize>(x: Tensor<D>, form: Form) -> Tensor<D> {
    apply(Map::Taylor, x, form)
}

/// Positive features that sum to 1, over the last axis: `softmax([2y, −2y])` of what a learned projection gives.
///
/// # Shapes
///
/// `[.., d]` to `[.., 2d]`. It is computed in `f32` or wider; the output has the dtype of the input.
///
/// Source: Hedgehog, Zhang et al. 2024, <https://arxiv.org/abs/2402.04347> (the doubled logits of flash-linear-attention).
///
/// # Panics
///
/// If there are no channels, or a form is asked for that there is not.
#[track_caller]
pub fn hedgehog<const D: usize>(y: Tensor<D>, form: Form) -> Tensor<D> {
    apply(Map::Hedgehog, y, form)
}

#[track_caller]
fn apply<const D: usize>(map: Map, x: Tensor<D>, form: Form) -> Tensor<D> {
    let shape = x.dims();
    let (channels, dtype) = (shape[D - 1], x.dtype());
    assert!(channels > 0, "The features of a head of no channels are asked for, but at least one is wanted.");
    let rows = shape[..D - 1].iter().product::<usize>();
    let kernel = runs_kernel(form, &x.device(), rows);
    let flat = to_dtype(x, accumulator(dtype)).reshape([rows, channels]);
    let features = match kernel {
        true => kernel::run(map, flat),
        false => law(map, flat),
    };
    let mut wanted = shape;
    wanted[D - 1] = map.features(channels);
    to_dtype(features.reshape(wanted), dtype)
}

/// The formula in tensor operations.
fn law(map: Map, x: Tensor<2>) -> Tensor<2> {
    match map {
        Map::Taylor => {
            let channels = x.dims()[1];
            let root = (channels as f64).sqrt();
            let mut features = vec![
                x.clone().narrow(1, 0, 1).ones_like(),
                x.clone().mul_scalar(root.sqrt().recip()),
                x.clone().square().mul_scalar((root * 2f64.sqrt()).recip()),
            ];
            for i in 0..channels - 1 {
                let later = x.clone().narrow(1, i + 1, channels - i - 1);
                features.push(later * x.clone().narrow(1, i, 1).mul_scalar(root.recip()));
            }
            Tensor::cat(features, 1)
        }
        Map::Hedgehog => {
            let doubled = x.mul_scalar(2.0);
            activation::softmax(Tensor::cat(vec![doubled.clone(), doubled.neg()], 1), 1)
        }
    }
}
