//! The parameters of a diagonal state space, in continuous time.

use super::Hippo;
use crate::config::{check_channels, check_numbers};
use crate::ops::{Complex, accumulator, to_dtype};
use crate::{ConfigError, Undecayed};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::{relu, softplus};
use burn::tensor::{Device, Tensor, TensorData};
use std::f64::consts::PI;

/// The eigenvalues that a state space begins with: `−1/2 + i ω_n`, for `n = 0 .. N/2 − 1`.
///
/// Source: Gu et al. 2022, <https://arxiv.org/abs/2206.11893> (sec. 4.3).
#[derive(Config, Debug, PartialEq, Copy)]
pub enum StateSpaceInit {
    /// S4D-Lin: `ω_n = π n`, the frequencies of a Fourier series.
    Lin,
    /// S4D-Inv: `ω_n = N/π · (N / (2n + 1) − 1)`.
    Inv,
    /// S4D-LegS: the eigenvalues of the normal part of HiPPO-LegS.
    LegS,
}

/// How a state space in continuous time becomes a recurrence over tokens.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum Discretisation {
    /// The input stays as it is between tokens: `λ = e^(ΔA)`, `B̄ = (e^(ΔA) − 1)/A · B`.
    ZeroOrderHold,
    /// The trapezium rule: `λ = (1 + ΔA/2)/(1 − ΔA/2)`, `B̄ = Δ/(1 − ΔA/2) · B`.
    Bilinear,
}

/// What makes a decay, `−Re A > 0`, of a parameter.
#[derive(Config, Debug, PartialEq, Copy)]
pub enum RealTransform {
    /// `e^x`.
    Exp,
    /// `max(x, 0) + 1e-4`.
    Relu,
    /// `ln(1 + e^x)`.
    Softplus,
}

/// The least decay that a parameter is set for.
const MIN_DECAY: f64 = 1e-4;

impl RealTransform {
    pub(crate) fn apply<const D: usize>(self, parameter: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Exp => parameter.exp(),
            Self::Relu => relu(parameter).add_scalar(MIN_DECAY),
            Self::Softplus => softplus(parameter, 1.0),
        }
    }

    /// The parameter of a decay.
    pub(crate) fn inverse(self, decay: f64) -> f64 {
        let decay = decay.max(MIN_DECAY);
        match self {
            Self::Exp => decay.ln(),
            Self::Relu => decay - MIN_DECAY,
            Self::Softplus => decay.exp_m1().ln(),
        }
    }
}

/// Configuration of a [`DiagonalStateSpace`].
#[derive(Config, Debug)]
pub struct DiagonalStateSpaceConfig {
    /// The number of channels `H`, each with a state space of its own.
    pub channels: usize,
    /// Numbers `N` in the state of a channel, even: `N/2` complex numbers and their conjugates. Default: `64`.
    #[config(default = 64)]
    pub d_state: usize,
    /// The smallest step `Δ` initially. Default: `0.001`.
    #[config(default = 1e-3)]
    pub dt_min: f64,
    /// The largest step `Δ` initially. Default: `0.1`.
    #[config(default = 1e-1)]
    pub dt_max: f64,
    /// The eigenvalues initially. Default: [`StateSpaceInit::Lin`].
    #[config(default = "StateSpaceInit::Lin")]
    pub init: StateSpaceInit,
    /// How it becomes a recurrence. Default: [`Discretisation::ZeroOrderHold`].
    #[config(default = "Discretisation::ZeroOrderHold")]
    pub discretisation: Discretisation,
    /// What makes the decays of their parameters. Default: [`RealTransform::Exp`].
    #[config(default = "RealTransform::Exp")]
    pub real_transform: RealTransform,
    /// Whether `B` is learned, too, from ones. Default: `false`, it is one.
    #[config(default = false)]
    pub learn_b: bool,
}

impl DiagonalStateSpaceConfig {
    /// The parameters. `subject` is the layer that errors are about.
    ///
    /// # Errors
    ///
    /// If there are no channels, `d_state` is odd, 0 or more than any machine holds, or the steps are not positive and
    /// in order.
    pub fn try_init(&self, subject: &str, device: &Device) -> Result<DiagonalStateSpace, ConfigError> {
        let (channels, d_state) = (self.channels, self.d_state);
        check_channels(subject, "d_model", channels)?;
        ConfigError::unless(d_state > 0 && d_state.is_multiple_of(2), subject, || {
            format!("d_state = {d_state}, but an even number of at least 2 is wanted: states come in pairs")
        })?;
        check_numbers(subject, "the state of each sequence", &[channels, d_state])?;
        if self.init == StateSpaceInit::LegS {
            Hippo::check(subject, d_state)?;
        }
        let pairs = [channels, d_state / 2];
        let complex = [channels, d_state / 2, 2];
        let imaginary = frequencies(self.init, d_state);
        Ok(DiagonalStateSpace {
            log_dt: log_steps(subject, channels, self.dt_min, self.dt_max, device)?,
            a_real: Initializer::Constant { value: self.real_transform.inverse(0.5) }
                .init(pairs, device)
                .into(),
            a_imag: of_each_channel(pairs, imaginary, device).into(),
            b: self.learn_b.then(|| of_each_channel(complex, [1.0, 0.0].repeat(d_state / 2), device).into()),
            // Complex numbers of variance 1.
            c: Initializer::Normal { mean: 0.0, std: 0.5f64.sqrt() }.init(complex, device),
            discretisation: self.discretisation,
            real_transform: self.real_transform,
        })
    }
}

/// The parameters of a linear state space with a diagonal transition for each of `H` channels, in continuous time:
///
/// ```text
/// x'(t) = A x(t) + B u(t)        y(t) = 2 Re(C · x(t))
/// ```
///
/// and what it becomes over tokens that are `Δ` apart ([`Discretisation`]):
///
/// ```text
/// h_t = λ ⊙ h_{t-1} + u_t        y_t = Re(w · h_t)        w = 2 C B̄
/// ```
///
/// Where
///
/// * `A = −decay + i ω`, the decay made of a parameter by a [`RealTransform`]; of each pair of conjugates one is kept,
///   which is where the 2 comes from,
/// * `Δ = e^log_dt`, log-uniform between `dt_min` and `dt_max` initially,
/// * `B` is one, or learned.
///
/// The state, `h`, takes `4·H·N` bytes per sequence.
///
/// Source: Gu et al. 2022, <https://arxiv.org/abs/2206.11893> (sec. 3 and 4).
///
/// Should be created with [`DiagonalStateSpaceConfig`].
#[derive(Module, Debug)]
pub struct DiagonalStateSpace {
    /// `ln Δ`, `[H]`.
    pub log_dt: Undecayed<1>,
    /// What the real transform makes `−Re A` of, `[H, N/2]`.
    pub a_real: Undecayed<2>,
    /// `Im A`, `[H, N/2]`.
    pub a_imag: Undecayed<2>,
    /// `B`, `[H, N/2, 2]`: real and imaginary parts.
    pub b: Option<Undecayed<3>>,
    /// `C`, `[H, N/2, 2]`: real and imaginary parts.
    pub c: Param<Tensor<3>>,
    #[module(skip)]
    discretisation: Discretisation,
    #[module(skip)]
    real_transform: RealTransform,
}

impl DiagonalStateSpace {
    /// `H` and the complex numbers `N/2` per channel.
    pub fn dims(&self) -> [usize; 2] {
        let shape = self.a_real.lazy_shape();
        [shape[0], shape[1]]
    }

    /// The eigenvalues `λ` and the weights `w` of [`diagonal_ssm`](crate::ops::diagonal_ssm::diagonal_ssm), both
    /// `[H, N/2]`, in `f32` or wider.
    pub fn discretised(&self) -> (Complex<2>, Complex<2>) {
        let wide = accumulator(self.c.val().dtype());
        let decay = self.real_transform.apply(to_dtype(self.a_real.val(), wide));
        let a = Complex::new(decay.neg(), to_dtype(self.a_imag.val(), wide));
        let step = to_dtype(self.log_dt.val(), wide).exp().unsqueeze_dim::<2>(1); // [h, 1]
        let (eigenvalues, input) = discretise(self.discretisation, a, step);
        let mut weights = complex(to_dtype(self.c.val(), wide)).map(|part| part.mul_scalar(2.0)).times(input);
        if let Some(b) = &self.b {
            weights = weights.times(complex(to_dtype(b.val(), wide)));
        }
        (eigenvalues, weights)
    }

    /// The filter that the recurrence convolves with, `[H, L]`: `K_l = Re(w · λ^l)`, for identities and tests; layers run
    /// the recurrence.
    pub fn filter(&self, length: usize) -> Tensor<2> {
        let (eigenvalues, weights) = self.discretised();
        let powers = powers(eigenvalues, length);
        weights.map(|part| part.unsqueeze_dim::<3>(1)).real_of_product(powers).sum_dim(2).squeeze_dim(2)
    }
}

/// `λ` and `B̄/B` of the diagonal `a`, `[H, N]`, over steps `[H, 1]`.
pub(crate) fn discretise(
    discretisation: Discretisation,
    a: Complex<2>,
    step: Tensor<2>,
) -> (Complex<2>, Complex<2>) {
    let scaled = a.clone().map(|part| part * step.clone());
    match discretisation {
        Discretisation::ZeroOrderHold => (scaled.clone().exp(), divide(exp_minus_one(scaled), a)),
        Discretisation::Bilinear => {
            let half = scaled.map(|part| part.div_scalar(2.0));
            let below = Complex::new(half.re.clone().neg().add_scalar(1.0), half.im.clone().neg());
            let inverse = reciprocal(below);
            let above = Complex::new(half.re.add_scalar(1.0), half.im);
            (above.times(inverse.clone()), inverse.map(|part| part * step.clone()))
        }
    }
}

/// `λ^0 .. λ^(length − 1)`, `[H, length, N]`, by doubling: nothing is divided, and no logarithm is taken.
pub(crate) fn powers(eigenvalues: Complex<2>, length: usize) -> Complex<3> {
    let first = eigenvalues.map(|part| part.unsqueeze_dim::<3>(1));
    let ones = Complex::new(first.re.ones_like(), first.im.zeros_like());
    let (mut all, mut next) = (ones, first);
    loop {
        let known = all.dims()[1];
        if known >= length {
            return all.map(|part| part.narrow(1, 0, length));
        }
        let more = all.clone().times(next.clone());
        all = Complex::new(Tensor::cat(vec![all.re, more.re], 1), Tensor::cat(vec![all.im, more.im], 1));
        next = next.clone().times(next);
    }
}

/// `1 / z`.
pub(crate) fn reciprocal(z: Complex<2>) -> Complex<2> {
    let length = z.re.clone().square() + z.im.clone().square();
    Complex::new(z.re / length.clone(), z.im.neg() / length)
}

/// `e^z − 1` for `Re z ≤ 0`, where `z` is small, too: with `e^x − 1 = tanh(x/2)(e^x + 1)` no term cancels another.
fn exp_minus_one(z: Complex<2>) -> Complex<2> {
    let length = z.re.clone().exp();
    let less = z.re.div_scalar(2.0).tanh() * length.clone().add_scalar(1.0);
    let half_sine = z.im.clone().div_scalar(2.0).sin();
    Complex::new(less * z.im.clone().cos() - half_sine.square().mul_scalar(2.0), length * z.im.sin())
}

/// `above / below`, where the square of `below` may be too small for a float.
fn divide(above: Complex<2>, below: Complex<2>) -> Complex<2> {
    // The quotient does not depend on the scale, and so has no gradient with respect to it.
    let scale = below.re.clone().abs().max_pair(below.im.clone().abs()).detach();
    let unit = below.map(|part| part / scale.clone());
    above.times(reciprocal(unit)).map(|part| part / scale.clone())
}

/// `[.., 2]` as a complex tensor.
pub(crate) fn complex(parts: Tensor<3>) -> Complex<2> {
    let part = |index| parts.clone().narrow(2, index, 1).squeeze_dim(2);
    Complex::new(part(0), part(1))
}

/// The imaginary parts of the eigenvalues.
fn frequencies(init: StateSpaceInit, d_state: usize) -> Vec<f64> {
    let pairs = 0..d_state / 2;
    let size = d_state as f64;
    match init {
        StateSpaceInit::Lin => pairs.map(|n| PI * n as f64).collect(),
        StateSpaceInit::Inv => pairs.map(|n| size / PI * (size / (2 * n + 1) as f64 - 1.0)).collect(),
        StateSpaceInit::LegS => {
            Hippo::LegS.normal_plus_low_rank(d_state).imaginary.into_iter().map(f64::abs).collect()
        }
    }
}

/// `ln Δ` of every channel, uniform initially.
pub(crate) fn log_steps(
    subject: &str,
    channels: usize,
    dt_min: f64,
    dt_max: f64,
    device: &Device,
) -> Result<Undecayed<1>, ConfigError> {
    let in_order = dt_min > 0.0 && dt_max >= dt_min && dt_max.is_finite();
    ConfigError::unless(in_order, subject, || {
        format!("dt_min = {dt_min} and dt_max = {dt_max}, but 0 < dt_min <= dt_max is wanted")
    })?;
    // Between two numbers that f32 may not tell apart, which no uniform distribution lies between.
    let (least, range) = (dt_min.ln(), dt_max.ln() - dt_min.ln());
    let uniform = Initializer::Uniform { min: 0.0, max: 1.0 }.init([channels], device);
    Ok(uniform.init_mapper(move |share: Tensor<1>| share.mul_scalar(range).add_scalar(least)).into())
}

/// A parameter with the same `numbers` for every channel, the first axis.
pub(crate) fn of_each_channel<const D: usize>(
    shape: [usize; D],
    numbers: Vec<f64>,
    device: &Device,
) -> Param<Tensor<D>> {
    let mut one = shape;
    one[0] = 1;
    Initializer::Zeros.init(shape, device).init_mapper(move |zeros: Tensor<D>| {
        let data = TensorData::new(numbers.clone(), one);
        zeros.clone() + Tensor::from_data(data, (&zeros.device(), zeros.dtype()))
    })
}
