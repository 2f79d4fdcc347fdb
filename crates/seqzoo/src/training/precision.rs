//! Training in half precision with weights in single precision.

use crate::weight_decay::is_undecayed;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{FloatDType, Tensor};

/// `model` with its parameters rounded to `dtype`, for the forward and backward pass of a step: its gradients are those of
/// `model`, in the precision of `model`, which the optimizer then changes.
///
/// Activations and products are in `dtype`; sums, norms, decays, states and the loss stay in `f32`, as everywhere in this library.
/// Parameters that layers declare as [`Undecayed`](crate::Undecayed), which set time scales, are not rounded.
///
/// `bf16` has the range of `f32`. In `f16` small gradients vanish: multiply the loss by some thousand before its backward pass, and
/// the gradients by as much less after it.
///
/// ```
/// use burn::optim::GradientsParams;
/// use burn::tensor::{DType, Device, Distribution, FloatDType, Tensor};
/// use seqzoo::SequenceMixer;
/// use seqzoo::layers::GatedLinearAttentionConfig;
/// use seqzoo::training::{AdamWConfig, in_precision};
///
/// let device = Device::default().autodiff();
/// let mut layer = GatedLinearAttentionConfig::new(16).with_num_heads(2).init(&device);
/// let mut optimizer = AdamWConfig::new().init();
/// let input = Tensor::<3>::random([1, 8, 16], Distribution::Default, &device).cast(FloatDType::BF16);
/// let (output, _) = in_precision(&layer, FloatDType::BF16).forward(input, None);
/// assert_eq!(output.dtype(), DType::BF16);
/// let loss = output.cast(FloatDType::F32).square().mean();
/// let gradients = GradientsParams::from_grads(loss.backward(), &layer);
/// layer = optimizer.step(1e-3, layer, gradients);
/// # let _ = layer;
/// ```
///
/// Source: Micikevicius et al. 2017, <https://arxiv.org/abs/1710.03740> (sec. 3.1, the weights; 3.2, the factor).
pub fn in_precision<M: Module>(model: &M, dtype: FloatDType) -> M {
    model.clone().map(&mut Rounded(dtype))
}

struct Rounded(FloatDType);

impl ModuleMapper for Rounded {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match is_undecayed() {
            true => parameter,
            // A step of the graph, which begins at the parameter.
            false => parameter.map(|tensor| tensor.cast(self.0)),
        }
    }
}
