//! What kernels of matrix memories are told.

use crate::decay::Decay;
use crate::precision::to_dtype;
use burn::tensor::{Bool, Tensor};

/// What a kernel is told beside its tensors.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Multiplies the queries.
    pub scale: f64,
    /// Whether there is a decay; without one, the tensor in its place is not read.
    pub decays: bool,
    /// Whether there are resets; without them, the tensor in their place is not read.
    pub resets: bool,
    /// Whether keys must be short enough for the delta rule not to grow, and are refused otherwise: see
    /// [`Keys`](crate::delta_rule::Keys). A kernel that cannot look at them without waiting does not.
    pub bounded: bool,
}

/// Decay and resets as kernels take them, for values `like` `[b, t, h, v]`: a decay that broadcasts to
/// `[b, t, h, k]`, resets `[b, t]` with 1 where the memory is cleared before the token and 0 elsewhere, and a single
/// number in place of what is absent.
pub(crate) fn arguments(
    decay: Decay,
    resets: Option<Tensor<2, Bool>>,
    scale: f64,
    like: &Tensor<4>,
) -> (Tensor<4>, Tensor<2>, Settings) {
    let heads = like.dims()[2];
    let (device, dtype) = (like.device(), like.dtype());
    let settings =
        Settings { scale, decays: !matches!(decay, Decay::None), resets: resets.is_some(), bounded: false };
    let decay: Tensor<4> = match decay {
        Decay::None => Tensor::zeros([1, 1, 1, 1], (&device, dtype)),
        Decay::PerHead(log) => log.reshape([1, 1, heads, 1]),
        Decay::Scalar(log) => log.unsqueeze_dim(3),
        Decay::Vector(log) => log,
    };
    let resets: Tensor<2> = match resets {
        None => Tensor::zeros([1, 1], (&device, dtype)),
        Some(resets) => to_dtype(resets.float(), dtype),
    };
    (decay, resets, settings)
}
