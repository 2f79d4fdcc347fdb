//! Linear projections of a layer, and how their channels divide into heads.

use super::ShortConvs;
use crate::ConfigError;
use crate::config::{MAX_CHANNELS, check_channels, check_numbers};
use crate::ops::Form;
use crate::ops::token_wise::linear::{Map, linear};
use burn::config::Config;
use burn::module::Param;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

/// How a layer's projections are initialised.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum ProjectionInit {
    /// Uniform in ±1/√fan_in, PyTorch's `nn.Linear`; what the published layers do on their own.
    Uniform,
    /// Normal with mean 0 and the standard deviation given (0.02 in most published models).
    Normal {
        /// The standard deviation.
        std: f64,
    },
    /// Inputs of the mixer normal with variance 1/fan_in, its output normal with deviation 0.02:
    /// what makes small models learn recall quickly.
    FanIn,
}

impl ProjectionInit {
    /// Says what is wrong with the initialisation of `layer`, if anything is.
    pub(crate) fn check(self, layer: &str) -> Result<(), ConfigError> {
        match self {
            Self::Normal { std } => ConfigError::unless_finite(layer, "the initializer's std", std),
            Self::Uniform | Self::FanIn => Ok(()),
        }
    }

    /// The initialiser of a projection into the mixer.
    pub(crate) fn input(self, fan_in: usize) -> Initializer {
        match self {
            Self::Uniform => Initializer::KaimingUniform { gain: 1.0 / 3f64.sqrt(), fan_out_only: false },
            Self::Normal { std } => Initializer::Normal { mean: 0.0, std },
            Self::FanIn => Initializer::Normal { mean: 0.0, std: (fan_in as f64).powf(-0.5) },
        }
    }

    /// A bias-free projection out of the mixer.
    pub(crate) fn output_projection(self, from: usize, to: usize, device: &Device) -> Linear {
        let initializer = match self {
            Self::FanIn => Initializer::Normal { mean: 0.0, std: 0.02 },
            other => other.input(from),
        };
        LinearConfig::new(from, to).with_bias(false).with_initializer(initializer).init(device)
    }

    /// The same with a bias: see [`biased_projection`].
    pub(crate) fn biased_output_projection(self, from: usize, to: usize, device: &Device) -> Linear {
        let bias = biased_projection(from, to, self, device).bias;
        Linear { bias, ..self.output_projection(from, to, device) }
    }
}

/// A bias-free projection into the mixer.
pub(crate) fn projection(from: usize, to: usize, init: ProjectionInit, device: &Device) -> Linear {
    LinearConfig::new(from, to).with_bias(false).with_initializer(init.input(from)).init(device)
}

/// A projection into the mixer with a bias, see [`with_bias`].
pub(crate) fn biased_projection(from: usize, to: usize, init: ProjectionInit, device: &Device) -> Linear {
    with_bias(projection(from, to, init, device), init, device)
}

/// `linear` with a bias: zero initially, as in published models, but PyTorch's uniform one with
/// [`ProjectionInit::Uniform`].
pub(crate) fn with_bias(linear: Linear, init: ProjectionInit, device: &Device) -> Linear {
    let shape = linear.weight.lazy_shape();
    let (from, to) = (shape[0], shape[1]);
    let initializer = match init {
        ProjectionInit::Uniform => init.input(from),
        _ => Initializer::Zeros,
    };
    Linear { bias: Some(initializer.init_with([to], Some(from), Some(to), device)), ..linear }
}

/// The channels of keys and values, and their division into heads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLayout {
    pub heads: usize,
    pub key_value_heads: usize,
    /// Key channels per head.
    pub key: usize,
    /// Value channels per head.
    pub value: usize,
}

impl HeadLayout {
    /// Divides `expand_k · d_model` key and `expand_v · d_model` value channels into heads.
    pub fn expanded(
        layer: &str,
        d_model: usize,
        heads: usize,
        key_value_heads: Option<usize>,
        expand_k: f64,
        expand_v: f64,
    ) -> Result<Self, ConfigError> {
        let key = |heads| share(layer, d_model, heads, "expand_k", expand_k);
        Self::new(layer, d_model, heads, key_value_heads, key, expand_v)
    }

    /// The same with `key` channels per head, whatever `d_model` is.
    pub fn of_keys(
        layer: &str,
        d_model: usize,
        heads: usize,
        key_value_heads: Option<usize>,
        key: usize,
        expand_v: f64,
    ) -> Result<Self, ConfigError> {
        Self::new(layer, d_model, heads, key_value_heads, |_| Ok(key), expand_v)
    }

    fn new(
        layer: &str,
        d_model: usize,
        heads: usize,
        key_value_heads: Option<usize>,
        key: impl FnOnce(usize) -> Result<usize, ConfigError>,
        expand_v: f64,
    ) -> Result<Self, ConfigError> {
        let key_value_heads = key_value_heads.unwrap_or(heads);
        check_heads(layer, d_model, heads, key_value_heads)?;
        let key = key(heads)?;
        let value = share(layer, d_model, heads, "expand_v", expand_v)?;
        check_channels(layer, "the number of key channels of all heads", heads.saturating_mul(key))?;
        check_numbers(layer, "the state of each sequence", &[heads, key, value])?;
        Ok(Self { heads, key_value_heads, key, value })
    }

    /// Query, key and value projections.
    pub fn projections(&self, d_model: usize, init: ProjectionInit, device: &Device) -> [Linear; 3] {
        [
            projection(d_model, self.heads * self.key, init, device),
            projection(d_model, self.key_value_heads * self.key, init, device),
            projection(d_model, self.key_value_heads * self.value, init, device),
        ]
    }

    /// The short convolutions after those projections, if there are any.
    pub fn convolutions(
        &self,
        width: Option<usize>,
        bias: bool,
        device: &Device,
    ) -> Result<ShortConvs, ConfigError> {
        let (keys, values) = (self.key_value_heads * self.key, self.key_value_heads * self.value);
        ShortConvs::try_init([self.heads * self.key, keys, values], width, bias, device)
    }

    /// The projection back to the model's channels.
    pub fn output(&self, d_model: usize, init: ProjectionInit, device: &Device) -> Linear {
        init.output_projection(self.heads * self.value, d_model, device)
    }
}

/// The channels of each head, where the option `name` says how many `d_model` makes in all.
fn share(layer: &str, d_model: usize, heads: usize, name: &str, factor: f64) -> Result<usize, ConfigError> {
    let wide = (d_model as f64 * factor).floor() as usize;
    let fits = factor > 0.0 && (1..=MAX_CHANNELS).contains(&wide) && wide.is_multiple_of(heads);
    ConfigError::unless(fits, layer, || {
        format!(
            "{name} = {factor} makes {wide} channels of d_model = {d_model}, which do not divide \
             into {heads} heads; change {name}, d_model or num_heads"
        )
    })?;
    Ok(wide / heads)
}

/// Checks what all layers with heads have in common.
pub(crate) fn check_heads(
    layer: &str,
    d_model: usize,
    heads: usize,
    key_value_heads: usize,
) -> Result<(), ConfigError> {
    check_channels(layer, "d_model", d_model)?;
    ConfigError::unless(heads > 0, layer, || "num_heads is 0; give it at least 1".into())?;
    ConfigError::unless(key_value_heads > 0 && heads.is_multiple_of(key_value_heads), layer, || {
        format!("num_kv_heads = {key_value_heads} does not divide num_heads = {heads}")
    })
}

/// `linear` of `input`, `[.., D]`, also where that has no elements.
#[track_caller]
pub(crate) fn project<const D: usize>(linear: &Linear, input: Tensor<D>) -> Tensor<D> {
    let [output] = project_all([linear], input);
    output
}

/// Every one of `linears` of the same input.
#[track_caller]
pub(crate) fn project_all<const D: usize, const N: usize>(
    linears: [&Linear; N],
    input: Tensor<D>,
) -> [Tensor<D>; N] {
    let maps =
        linears.map(|linear| Map { weight: linear.weight.val(), bias: linear.bias.as_ref().map(Param::val) });
    linear(input, maps, Form::Auto)
}

/// The output of `linear` in parts of these widths. Cutting the weight is cheaper than cutting the output, whose gradient would
/// be as large as all of it for every part.
#[track_caller]
pub(crate) fn project_parts<const D: usize, const N: usize>(
    map: &Linear,
    widths: [usize; N],
    input: Tensor<D>,
) -> [Tensor<D>; N] {
    let (weight, bias) = (map.weight.val(), map.bias.as_ref().map(Param::val));
    let mut first = 0;
    let maps = widths.map(|width| {
        let weight = weight.clone().narrow(1, first, width);
        let bias = bias.clone().map(|bias| bias.narrow(0, first, width));
        first += width;
        Map { weight, bias }
    });
    linear(input, maps, Form::Auto)
}

/// `[B, T, H·d]` as `[B, T, H, d]`.
pub(crate) fn split_heads(tokens: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, time, channels] = tokens.dims();
    tokens.reshape([batch, time, heads, channels / heads])
}

/// `[B, T, H, d]` as `[B, T, H·d]`.
pub(crate) fn join_heads(tokens: Tensor<4>) -> Tensor<3> {
    let [batch, time, heads, channels] = tokens.dims();
    tokens.reshape([batch, time, heads * channels])
}
