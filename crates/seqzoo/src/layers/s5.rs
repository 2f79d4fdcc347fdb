//! S5: one state space with many inputs and many outputs.

use crate::config::{check_channels, check_numbers};
use crate::ops::diagonal_ssm::continuous::discretise;
use crate::ops::linear_scan::{ComplexFactor, LinearScanOptions, complex_linear_scan, linear_scan_report};
use crate::ops::{Complex, Report, accumulator, to_dtype};
use crate::parts::{Discretisation, Hippo, ProjectionInit, TimeSteps, biased_projection};
use crate::{ConfigError, LayerConfig, SequenceMixer, Undecayed};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::activation::{gelu_approximate, sigmoid};
use burn::tensor::{Bool, Device, Tensor, TensorData, module::linear};

crate::layer!(S5, "s5", S5Config);

/// The real part that clipped eigenvalues do not exceed.
const MAX_REAL: f64 = -1e-4;

/// What comes after the state space of an [`S5`].
#[derive(Config, Debug, PartialEq, Copy)]
pub enum S5Activation {
    /// `gelu(y)`.
    Gelu,
    /// `gelu(y) ⊙ σ(W gelu(y) + b)`.
    HalfGlu,
    /// `(V gelu(y) + c) ⊙ σ(W gelu(y) + b)`.
    FullGlu,
}

/// Configuration of [`S5`].
#[derive(Config, Debug)]
pub struct S5Config {
    /// Channels of input and output.
    pub d_model: usize,
    /// Numbers `P` in the state: `P/2` complex numbers, and their conjugates. Default: `256`.
    #[config(default = 256)]
    pub d_state: usize,
    /// How many times the initial eigenvalues repeat; twice that divides `d_state`. Default: `8`.
    #[config(default = 8)]
    pub blocks: usize,
    /// The least initial step. Default: `0.001`.
    #[config(default = 1e-3)]
    pub dt_min: f64,
    /// The greatest initial step. Default: `0.1`.
    #[config(default = 1e-1)]
    pub dt_max: f64,
    /// How the state space becomes a recurrence. Default: [`Discretisation::ZeroOrderHold`].
    #[config(default = "Discretisation::ZeroOrderHold")]
    pub discretisation: Discretisation,
    /// Whether the real parts of the eigenvalues stay below -0.0001, so that no state grows. Default: `false`.
    #[config(default = false)]
    pub clip_eigenvalues: bool,
    /// What comes after the state space. Default: [`S5Activation::HalfGlu`].
    #[config(default = "S5Activation::HalfGlu")]
    pub activation: S5Activation,
    /// How the projections after it are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl S5Config {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels, `d_state` does not divide into blocks of even numbers or these are too large for HiPPO, or
    /// the steps are not positive and in order.
    pub fn try_init(&self, device: &Device) -> Result<S5, ConfigError> {
        self.checked(|| {
            let Self { d_model, d_state, blocks, initializer, .. } = *self;
            check_channels(Self::KIND, "d_model", d_model)?;
            check_channels(Self::KIND, "d_state", d_state)?;
            ConfigError::unless(blocks > 0 && d_state.is_multiple_of(blocks), Self::KIND, || {
                format!("blocks = {blocks} does not divide d_state = {d_state}")
            })?;
            let order = d_state / blocks;
            ConfigError::unless(order.is_multiple_of(2), Self::KIND, || {
                format!("d_state = {d_state} in {blocks} blocks makes blocks of {order}, but an even number is wanted")
            })?;
            Hippo::check(Self::KIND, order)?;
            check_numbers(Self::KIND, "the matrix C", &[d_state, d_model])?;
            let steps = TimeSteps { min: self.dt_min, max: self.dt_max, floor: 0.0 };
            steps.check(Self::KIND)?;
            initializer.check(Self::KIND)?;
            let pairs = d_state / 2;
            let normal = |variance: f64| Initializer::Normal { mean: 0.0, std: variance.sqrt() };
            // The eigenvectors V are unitary. So B = Vᴴ B' and C = C' V are as normal as the published real B' and
            // complex C', whose numbers, and parts of numbers, have the variance 1/P.
            let variance = 1.0 / d_state as f64;
            let full = self.activation == S5Activation::FullGlu;
            let gated = full || self.activation == S5Activation::HalfGlu;
            let square = || biased_projection(d_model, d_model, initializer, device);
            Ok(S5 {
                log_dt: steps.logarithms(pairs, device).into(),
                a_real: Initializer::Constant { value: -0.5 }.init([pairs], device).into(),
                a_imag: frequencies(order, blocks, device).into(),
                b: normal(variance / 2.0).init([d_model, d_state], device).into(),
                c: normal(variance).init([d_state, d_model], device),
                d: normal(1.0).init([d_model], device).into(),
                value: full.then(square),
                gate: gated.then(square),
                discretisation: self.discretisation,
                clip_eigenvalues: self.clip_eigenvalues,
            })
        })
    }
}

/// The imaginary parts of the eigenvalues of the normal part of HiPPO-LegS, those of one of each pair of conjugates, for
/// every block.
fn frequencies(order: usize, blocks: usize, device: &Device) -> Param<Tensor<1>> {
    let pairs = order / 2 * blocks;
    Initializer::Zeros.init([pairs], device).init_mapper(move |zeros: Tensor<1>| {
        let numbers = Hippo::LegS.normal_plus_low_rank(order).imaginary.repeat(blocks);
        Tensor::from_data(TensorData::new(numbers, [pairs]), (&zeros.device(), zeros.dtype()))
    })
}

/// S5: one state space for all channels together, with a diagonal transition.
///
/// ```text
/// h_t = λ ⊙ h_{t-1} + (λ − 1)/A ⊙ B x_t          λ = exp(Δ A)
/// v_t = gelu( 2 Re(C h_t) + D ⊙ x_t )
/// y_t = v_t ⊙ σ(W v_t + b)
/// ```
///
/// Where
///
/// * `A`, `Δ`, `B` and `C` are learned: `P/2` complex eigenvalues, a step for each, and two complex matrices. The
///   conjugates of the state are not computed, which is where the 2 comes from,
/// * `A` begins as the eigenvalues of the normal part of HiPPO-LegS of size `P / blocks`, repeated, and `Δ` log-uniform
///   from `dt_min` to `dt_max`,
/// * with [`Discretisation::Bilinear`] `λ` and the factor of `B` are those of the trapezium rule,
/// * `gelu` is the approximation with `tanh`; [`S5Activation`] has the other ends of the layer.
///
/// The state is `h`, `4·P` bytes per sequence.
///
/// Resets clear it at the borders of episodes, which is how S5 remembers within an episode and learns from many in
/// reinforcement learning (Lu et al. 2023, <https://arxiv.org/abs/2303.03982>, sec. 3).
///
/// Source: Smith et al. 2022, <https://arxiv.org/abs/2208.04933> (sec. 3 and 4, appendix B.1).
///
/// Should be created with [`S5Config`].
#[derive(Module, Debug)]
pub struct S5 {
    /// `ln Δ`, `[P/2]`.
    pub log_dt: Undecayed<1>,
    /// `Re A`, `[P/2]`.
    pub a_real: Undecayed<1>,
    /// `Im A`, `[P/2]`.
    pub a_imag: Undecayed<1>,
    /// `Bᵀ`, `[D, P]`: the real parts of all columns, then the imaginary ones.
    pub b: Undecayed<2>,
    /// `Cᵀ`, `[P, D]`: the real parts of all rows, then the imaginary ones.
    pub c: Param<Tensor<2>>,
    /// The skip `D`, `[D]`.
    pub d: Undecayed<1>,
    /// `V` and `c`, `D` to `D`, with [`S5Activation::FullGlu`].
    pub value: Option<Linear>,
    /// `W` and `b`, `D` to `D`, but for [`S5Activation::Gelu`].
    pub gate: Option<Linear>,
    #[module(skip)]
    discretisation: Discretisation,
    clip_eigenvalues: bool,
}

crate::state! {
    /// State of [`S5`].
    pub struct S5State of S5 {
        /// The real parts of `h`, `[B, P/2]`.
        pub real: Tensor<2> as Recurrent,
        /// The imaginary parts of `h`, `[B, P/2]`.
        pub imaginary: Tensor<2> as Recurrent,
    }
}

impl S5 {
    /// `λ`, and what multiplies `B`, both `[P/2]`, in `f32` or wider.
    fn discretised(&self) -> (Complex<1>, Complex<1>) {
        let real = self.a_real.val();
        let wide = accumulator(real.dtype());
        let column = |parameter: Tensor<1>| to_dtype(parameter, wide).unsqueeze_dim::<2>(1);
        let real = column(real);
        let real = if self.clip_eigenvalues { real.clamp_max(MAX_REAL) } else { real };
        let a = Complex::new(real, column(self.a_imag.val()));
        let (factor, input) = discretise(self.discretisation, a, column(self.log_dt.val()).exp());
        let row = |part: Tensor<2>| part.squeeze_dim(1);
        (factor.map(row), input.map(row))
    }

    /// What the state space gives, through activation and gate.
    fn activated(&self, output: Tensor<3>) -> Tensor<3> {
        let hidden = gelu_approximate(output);
        let gate = self.gate.as_ref().map(|gate| sigmoid(gate.forward(hidden.clone())));
        let hidden = match &self.value {
            Some(value) => value.forward(hidden),
            None => hidden,
        };
        match gate {
            Some(gate) => hidden * gate,
            None => hidden,
        }
    }
}

impl SequenceMixer for S5 {
    type State = S5State;

    fn d_model(&self) -> usize {
        self.b.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let rates = self.log_dt.val();
        let zeros = Tensor::zeros([batch, rates.dims()[0]], (device, accumulator(rates.dtype())));
        S5State { real: zeros.clone(), imaginary: zeros }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let dtype = input.dtype();
        let pairs = self.log_dt.dims()[0];
        let (factor, scale) = self.discretised();
        let driven = linear(input.clone(), to_dtype(self.b.val(), dtype), None);
        let driven = to_dtype(driven, accumulator(dtype)); // [b, t, p]
        let driven = Complex::new(driven.clone().narrow(2, 0, pairs), driven.narrow(2, pairs, pairs))
            .times(scale.map(|part| part.unsqueeze()));
        let options = LinearScanOptions {
            initial_state: Some(Complex::new(state.real, state.imaginary)),
            resets,
            ..Default::default()
        };
        let (states, last) = complex_linear_scan(driven, ComplexFactor::PerChannel(factor), options);
        let parts = Tensor::cat(vec![states.re, states.im.neg()], 2).mul_scalar(2.0); // [b, t, p]
        let read = linear(to_dtype(parts, dtype), self.c.val(), None);
        let output = self.activated(read + input * to_dtype(self.d.val(), dtype).unsqueeze());
        (output, S5State { real: last.re, imaginary: last.im })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        linear_scan_report(time, &LinearScanOptions::<Complex<2>>::default(), device)
    }
}
