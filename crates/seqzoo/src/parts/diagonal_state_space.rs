//! The parameters of a diagonal state space, in continuous time.

use super::Hippo;
use crate::config::{check_channels, check_numbers};
use crate::ops::Complex;
use crate::ops::diagonal_ssm::continuous::{ContinuousSsm, Discretisation, RealTransform};
use crate::{ConfigError, Undecayed};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
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
        let init = self.init;
        Ok(DiagonalStateSpace {
            log_dt: log_steps(subject, channels, self.dt_min, self.dt_max, device)?,
            a_real: Initializer::Constant { value: self.real_transform.inverse(0.5) }
                .init(pairs, device)
                .into(),
            a_imag: of_each_channel(pairs, move || frequencies(init, d_state), device).into(),
            b: self
                .learn_b
                .then(|| of_each_channel(complex, move || [1.0, 0.0].repeat(d_state / 2), device).into()),
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
        let parameters = ContinuousSsm {
            log_dt: self.log_dt.val(),
            a_real: self.a_real.val(),
            a_imag: self.a_imag.val(),
            b: self.b.as_ref().map(|b| b.val()),
            c: self.c.val(),
        };
        parameters.discretised(self.discretisation, self.real_transform)
    }

    /// The filter that the recurrence convolves with, `[H, L]`: `K_l = Re(w · λ^l)`, for identities and tests; layers run
    /// the recurrence.
    pub fn filter(&self, length: usize) -> Tensor<2> {
        let (eigenvalues, weights) = self.discretised();
        let powers = powers(eigenvalues, length);
        weights.map(|part| part.unsqueeze_dim::<3>(1)).real_of_product(powers).sum_dim(2).squeeze_dim(2)
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

/// A parameter with the same `numbers` for every channel, the first axis; they are made when the parameter is.
pub(crate) fn of_each_channel<const D: usize>(
    shape: [usize; D],
    numbers: impl Fn() -> Vec<f64> + Send + Sync + 'static,
    device: &Device,
) -> Param<Tensor<D>> {
    let mut one = shape;
    one[0] = 1;
    Initializer::Zeros.init(shape, device).init_mapper(move |zeros: Tensor<D>| {
        let data = TensorData::new(numbers(), one);
        zeros.clone() + Tensor::from_data(data, (&zeros.device(), zeros.dtype()))
    })
}
