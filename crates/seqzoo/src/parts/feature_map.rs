//! Feature maps of linear attention: what stands for the exponential of softmax attention.

use super::{ProjectionInit, project};
use crate::ConfigError;
use crate::config::{check_channels, check_numbers};
use crate::ops::Form;
use crate::ops::token_wise::feature_maps::{hedgehog, taylor};
use crate::ops::token_wise::pointwise::{elu_plus_one, squared_relu};
use burn::config::Config;
use burn::module::ParamId;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Shape, Tensor, activation::relu};

const NAME: &str = "feature map";

/// Which feature map, and its constants.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum FeatureMapKind {
    /// `φ(x) = x`.
    Identity,
    /// `φ(x) = elu(x) + 1`, positive (Katharopoulos et al. 2020, <https://arxiv.org/abs/2006.16236>).
    EluPlusOne,
    /// `φ(x) = max(x, 0)`.
    Relu,
    /// `φ(x) = max(x, 0)²`.
    SquaredRelu,
    /// `φ(x) = [1, x / d^¼, x_i² / √(2d), x_i x_j / √d for i < j]`, so that `φ(q)·φ(k)` is the
    /// second-order Taylor expansion of `exp(q·k / √d)` (Based: Arora et al. 2024,
    /// <https://arxiv.org/abs/2402.18668>, sec. 4).
    Taylor,
    /// `φ(x) = softmax([2y, −2y])` with `y = W x + b`, `W` the identity initially (Zhang et al.
    /// 2024, <https://arxiv.org/abs/2402.04347>; the doubled logits of flash-linear-attention).
    Hedgehog,
    /// `φ(x) = max(W x + b, 0)` (Kasai et al. 2021, <https://arxiv.org/abs/2103.13076>).
    LearnedRelu,
    /// `φ(x) = (W₁ x + b₁) ⊙ (W₂ x + b₂)`.
    ElementwiseProduct,
    /// `z = [relu(x), relu(−x)]`, `φ(x)` the products of `z` with itself rolled by `1 ..= nu`
    /// (Schlag et al. 2021, <https://arxiv.org/abs/2102.11174>, sec. 5.3). flash-linear-attention has
    /// `−relu(x)` in the second half, so weights trained there do not carry over.
    Dpfp {
        /// How many rolls.
        nu: usize,
    },
}

impl FeatureMapKind {
    /// The map for heads of `head_dim` channels.
    ///
    /// # Errors
    ///
    /// If there are no channels, DPFP has no rolls, or more than `z` has channels, or the parameters are larger than
    /// any machine holds.
    pub fn try_init(&self, head_dim: usize, device: &Device) -> Result<FeatureMap, ConfigError> {
        check_channels(NAME, "the number of channels per head", head_dim)?;
        if let Self::Dpfp { nu } = *self {
            ConfigError::unless((1..2 * head_dim).contains(&nu), "feature map DPFP", || {
                format!("nu = {nu}, but 1 to {} rolls are wanted for heads of {head_dim}", 2 * head_dim - 1)
            })?;
        }
        let linear = || {
            let uniform = ProjectionInit::Uniform.input(head_dim);
            LinearConfig::new(head_dim, head_dim).with_initializer(uniform).init(device)
        };
        if matches!(self, Self::Hedgehog | Self::LearnedRelu | Self::ElementwiseProduct) {
            check_numbers(NAME, "the projection", &[head_dim, head_dim])?;
        }
        let linears = match self {
            Self::Hedgehog => vec![identity(head_dim, device)],
            Self::LearnedRelu => vec![linear()],
            Self::ElementwiseProduct => vec![linear(), linear()],
            _ => Vec::new(),
        };
        Ok(FeatureMap { kind: *self, linears })
    }

    /// The number of features of heads of `head_dim` channels; `usize::MAX` where that is too large for it.
    pub fn features(&self, head_dim: usize) -> usize {
        match self {
            Self::Taylor => {
                // One of the two factors is even.
                let (even, odd) = match head_dim.is_multiple_of(2) {
                    true => (head_dim, head_dim.saturating_add(1)),
                    false => (head_dim.saturating_add(1), head_dim),
                };
                (even / 2).saturating_mul(odd).saturating_add(head_dim).saturating_add(1)
            }
            Self::Hedgehog => head_dim.saturating_mul(2),
            Self::Dpfp { nu } => head_dim.saturating_mul(2).saturating_mul(*nu),
            _ => head_dim,
        }
    }
}

/// A feature map, with its parameters if it has any.
///
/// Should be created with [`FeatureMapKind::try_init`].
#[derive(Module, Debug)]
pub struct FeatureMap {
    /// The learned projections: none, one, or two for the element-wise product.
    pub linears: Vec<Linear>,
    #[module(skip)]
    kind: FeatureMapKind,
}

impl FeatureMap {
    /// `[B, T, H, d]` to `[B, T, H, features]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self.kind {
            FeatureMapKind::Identity => x,
            FeatureMapKind::EluPlusOne => elu_plus_one(x, Form::Auto),
            FeatureMapKind::Relu => relu(x),
            FeatureMapKind::SquaredRelu => squared_relu(x, Form::Auto),
            FeatureMapKind::Taylor => taylor(x, Form::Auto),
            FeatureMapKind::Hedgehog => hedgehog(project(&self.linears[0], x), Form::Auto),
            FeatureMapKind::LearnedRelu => relu(project(&self.linears[0], x)),
            FeatureMapKind::ElementwiseProduct => {
                project(&self.linears[0], x.clone()) * project(&self.linears[1], x)
            }
            FeatureMapKind::Dpfp { nu } => dpfp(x, nu),
        }
    }
}

fn dpfp(x: Tensor<4>, nu: usize) -> Tensor<4> {
    let z = Tensor::cat(vec![relu(x.clone()), relu(x.neg())], 3);
    let width = z.dims()[3];
    let products = (1..=nu).map(|shift| {
        let rolled = Tensor::cat(
            vec![z.clone().narrow(3, width - shift, shift), z.clone().narrow(3, 0, width - shift)],
            3,
        );
        z.clone() * rolled
    });
    Tensor::cat(products.collect(), 3)
}

/// A linear map that is the identity initially.
fn identity(width: usize, device: &Device) -> Linear {
    let mut linear = LinearConfig::new(width, width).init(device);
    // Made at its first use, like every parameter that is drawn.
    linear.weight = Param::uninitialized(
        ParamId::new(),
        move |device, require_grad| Tensor::eye(width, device).set_require_grad(require_grad),
        device.clone(),
        true,
        Shape::new([width, width]),
    );
    linear.bias = Some(Initializer::Zeros.init([width], device));
    linear
}
