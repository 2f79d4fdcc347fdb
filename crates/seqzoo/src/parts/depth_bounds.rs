//! Lower bounds of forget gates that grow with the depth of a layer.

use crate::ops::{accumulator, to_dtype};
use crate::{ConfigError, Undecayed};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, activation::softmax};

/// The place of a layer among those of its model.
#[derive(Config, Debug, PartialEq, Copy)]
pub struct Depth {
    /// How many layers are below it.
    pub layer: usize,
    /// How many layers there are.
    pub layers: usize,
}

/// Learned lower bounds of forget gates, one per channel: 0 in the first layer, and larger in every layer above.
///
/// ```text
/// γ_l = Σ_{i ≤ l} softmax(p)_i − softmax(p)_0        over layers i
/// ```
///
/// The published models learn `p` once for all layers. Here every layer has a copy of its own, the same in all of them
/// initially and where a published model was read. Train them together, by the mean of their gradients, or not at all, if
/// the model is to be published in that format.
///
/// Source: Qin et al. 2023, <https://arxiv.org/abs/2311.04823> (sec. 3.2).
#[derive(Module, Debug)]
pub struct DepthBounds {
    /// `p`, `[L, K]` for `L` layers and `K` channels, zeros initially.
    pub logits: Undecayed<2>,
    layer: usize,
}

impl DepthBounds {
    /// The bounds of `channels` channels of the layer of `kind` at `depth`.
    pub(crate) fn try_new(
        kind: &str,
        depth: Depth,
        channels: usize,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        let Depth { layer, layers } = depth;
        ConfigError::unless(layer < layers, kind, || {
            format!("depth.layer = {layer} is not below depth.layers = {layers}")
        })?;
        let logits = Initializer::Zeros.init([layers, channels], device);
        Ok(Self { logits: logits.into(), layer })
    }

    /// `γ_l`, `[K]`, in `f32` or wider; nothing in the first layer, where it is 0.
    pub fn bounds(&self) -> Option<Tensor<1>> {
        if self.layer == 0 {
            return None;
        }
        let logits = self.logits.val();
        let wide = accumulator(logits.dtype());
        let shares = softmax(to_dtype(logits, wide), 0);
        Some(shares.narrow(0, 1, self.layer).sum_dim(0).squeeze_dim(0))
    }
}
