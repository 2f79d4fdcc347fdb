//! Long filters as a function of their positions.

use crate::config::check_numbers;
use crate::ops::{accumulator, to_dtype};
use crate::{ConfigError, Undecayed};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::f64::consts::TAU;

const NAME: &str = "implicit filter";

/// More layers than this are taken for a mistake.
const MAX_LAYERS: usize = 1 << 10;

/// A faster decay than this is taken for a mistake: products with it leave `f32`.
const MAX_RATE: f64 = 1e30;

/// What an [`ImplicitFilter`] is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ImplicitFilterOptions {
    pub channels: usize,
    pub max_len: usize,
    pub emb_dim: usize,
    pub hidden: usize,
    pub inner_layers: usize,
    pub frequency: f64,
    pub fast_decay_pct: f64,
    pub slow_decay_pct: f64,
    pub target: f64,
    pub shift: f64,
}

impl ImplicitFilterOptions {
    pub fn try_init(&self, device: &Device) -> Result<ImplicitFilter, ConfigError> {
        let Self { channels, max_len, emb_dim, hidden, inner_layers, .. } = *self;
        ConfigError::unless(max_len > 0, NAME, || "max_len is 0; give it at least 1".into())?;
        check_numbers(NAME, &format!("max_len = {max_len}: the filters"), &[channels, max_len])?;
        ConfigError::unless(emb_dim >= 3 && emb_dim % 2 == 1, NAME, || {
            format!("emb_dim = {emb_dim}, but an odd number of at least 3 is wanted: time, cosines and sines")
        })?;
        check_numbers(NAME, &format!("emb_dim = {emb_dim}: the first layer"), &[emb_dim, hidden])?;
        ConfigError::unless(hidden > 0, NAME, || "filter_order is 0; give it at least 1".into())?;
        check_numbers(NAME, &format!("filter_order = {hidden}: an inner layer"), &[hidden, hidden])?;
        ConfigError::unless(inner_layers <= MAX_LAYERS, NAME, || {
            format!("num_inner_mlps = {inner_layers}, but at most {MAX_LAYERS} are wanted")
        })?;
        ConfigError::unless(self.target > 0.0 && self.target < 1.0, NAME, || {
            format!("target = {}, but a number between 0 and 1 is wanted", self.target)
        })?;
        for (name, share) in
            [("fast_decay_pct", self.fast_decay_pct), ("slow_decay_pct", self.slow_decay_pct)]
        {
            ConfigError::unless(share > 0.0 && self.rate(share) <= MAX_RATE, NAME, || {
                format!("{name} = {share}, but a positive share of max_len is wanted (0.3 and 1.5 are usual)")
            })?;
        }
        let sizes = std::iter::once(emb_dim).chain(std::iter::repeat_n(hidden, inner_layers));
        Ok(ImplicitFilter {
            layers: sizes.map(|inputs| SineLayer::new(inputs, hidden, device)).collect(),
            frequency: Initializer::Constant { value: self.frequency }.init([hidden], device),
            output: uniform(hidden).init([hidden, channels], device).into(),
            rates: (self.rate(self.slow_decay_pct), self.rate(self.fast_decay_pct)),
            shift: self.shift,
            max_len,
        })
    }

    /// The rate at which a window falls to the target within `share` of the filter.
    fn rate(&self, share: f64) -> f64 {
        -self.target.ln() / share
    }
}

/// Filters of any length, as a small network of sines over their positions under windows that fall exponentially.
///
/// ```text
/// h_j = W_o s(W_n .. s(W_1 e(j) + b_1) .. + b_n) ⊙ (exp(−τ δ) + shift)        s(x) = sin(ω ⊙ x)
/// e(j) = (τ, cos(f_1 θ), .., −sin(f_1 θ), ..)        τ = j / (max_len − 1)        θ = 2π j / max_len
/// ```
///
/// Where
///
/// * `f` are the frequencies from 1e-4 to their number less 1, and the frequency `ω` of the sines is learned and shared by the
///   layers,
/// * `δ` goes evenly from `−ln(target) / slow_decay_pct` for the first channel to `−ln(target) / fast_decay_pct` for the last:
///   windows fall to `target` within such shares of the filter.
///
/// The embedding `e` and the windows are fixed; the published code also trains `e`, with a hundredth of the other
/// learning rates. No parameter is decayed.
///
/// Source: Poli et al. 2023, <https://arxiv.org/abs/2302.10866> (sec. 3.3 and app. D.3).
#[derive(Module, Debug)]
pub struct ImplicitFilter {
    /// The layers before the last, of `emb_dim` inputs and then of `filter_order`.
    pub layers: Vec<SineLayer>,
    /// `ω`, `[filter_order]`.
    pub frequency: Param<Tensor<1>>,
    /// `W_o`, `[filter_order, C]`.
    pub output: Undecayed<2>,
    rates: (f64, f64),
    shift: f64,
    max_len: usize,
}

/// An affine layer before a sine.
#[derive(Module, Debug)]
pub struct SineLayer {
    /// `[inputs, filter_order]`.
    pub weight: Undecayed<2>,
    /// `[filter_order]`.
    pub bias: Param<Tensor<1>>,
}

impl SineLayer {
    fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        let uniform = uniform(inputs);
        Self { weight: uniform.init([inputs, outputs], device).into(), bias: uniform.init([outputs], device) }
    }
}

/// PyTorch's initialisation of `nn.Linear`.
fn uniform(inputs: usize) -> Initializer {
    let bound = (inputs as f64).powf(-0.5);
    Initializer::Uniform { min: -bound, max: bound }
}

impl ImplicitFilter {
    /// The number of taps of the whole filter.
    pub fn max_len(&self) -> usize {
        self.max_len
    }

    /// The first `taps` taps of all channels, `[taps, C]`, in `f32` or wider.
    ///
    /// # Panics
    ///
    /// If there are no taps or more than the filter has.
    #[track_caller]
    pub fn forward(&self, taps: usize) -> Tensor<2> {
        assert!(
            (1..=self.max_len).contains(&taps),
            "The argument `taps` is {taps}, but a number from 1 to {} is wanted.",
            self.max_len
        );
        let output = self.output.val();
        let (device, wide) = (output.device(), accumulator(output.dtype()));
        let frequency = to_dtype(self.frequency.val(), wide).unsqueeze::<2>();
        let mut hidden = self.embedding(taps, &device, wide);
        for SineLayer { weight, bias } in &self.layers {
            let affine = hidden.matmul(to_dtype(weight.val(), wide)) + to_dtype(bias.val(), wide).unsqueeze();
            hidden = (affine * frequency.clone()).sin();
        }
        hidden.matmul(to_dtype(output, wide)) * self.window(taps, &device, wide)
    }

    /// `τ` of a position.
    fn time(&self, position: usize) -> f64 {
        position as f64 / (self.max_len - 1).max(1) as f64
    }

    /// `e`, `[taps, emb_dim]`.
    fn embedding(&self, taps: usize, device: &Device, dtype: DType) -> Tensor<2> {
        let [emb_dim, _] = self.layers[0].weight.dims();
        let bands = (emb_dim - 1) / 2;
        let frequencies = evenly(1e-4, bands as f64 - 1.0, bands);
        let mut numbers = Vec::with_capacity(taps * emb_dim);
        for position in 0..taps {
            let angle = TAU * position as f64 / self.max_len as f64;
            numbers.push(self.time(position));
            numbers.extend(frequencies.iter().map(|frequency| (frequency * angle).cos()));
            numbers.extend(frequencies.iter().map(|frequency| -(frequency * angle).sin()));
        }
        Tensor::from_data(TensorData::new(numbers, [taps, emb_dim]), (device, dtype))
    }

    /// The windows, `[taps, C]`.
    fn window(&self, taps: usize, device: &Device, dtype: DType) -> Tensor<2> {
        let [_, channels] = self.output.dims();
        let times: Vec<f64> = (0..taps).map(|position| -self.time(position)).collect();
        let rates = evenly(self.rates.0, self.rates.1, channels);
        let times = Tensor::<2>::from_data(TensorData::new(times, [taps, 1]), (device, dtype));
        let rates = Tensor::<2>::from_data(TensorData::new(rates, [1, channels]), (device, dtype));
        (times * rates).exp().add_scalar(self.shift)
    }
}

/// `count` numbers from `first` to `last`.
fn evenly(first: f64, last: f64, count: usize) -> Vec<f64> {
    let step = (last - first) / (count.max(2) - 1) as f64;
    (0..count).map(|index| first + step * index as f64).collect()
}
