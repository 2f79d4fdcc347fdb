//! H3: a shift and a diagonal state space, between gates.

use crate::config::{check_channels, check_numbers};
use crate::ops::causal_conv::long::{LongConvOptions, long_conv};
use crate::ops::diagonal_ssm::{DiagonalSsmOptions, diagonal_ssm, diagonal_ssm_report};
use crate::ops::{Complex, Report, accumulator};
use crate::parts::{
    DiagonalStateSpace, DiagonalStateSpaceConfig, Discretisation, ProjectionInit, StateSpaceInit,
    biased_projection, project, project_all,
};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(H3, "h3", H3Config);

/// Configuration of [`H3`].
#[derive(Config, Debug)]
pub struct H3Config {
    /// Channels of input and output.
    pub d_model: usize,
    /// Numbers in the state of a channel of the diagonal state space, even. Default: `64`.
    #[config(default = 64)]
    pub d_state: usize,
    /// Tokens that the shift sees, the current one included. Default: `64`.
    #[config(default = 64)]
    pub shift_size: usize,
    /// The smallest step `Δ` initially. Default: `0.001`.
    #[config(default = 1e-3)]
    pub dt_min: f64,
    /// The largest step `Δ` initially. Default: `0.1`.
    #[config(default = 1e-1)]
    pub dt_max: f64,
    /// The eigenvalues of the diagonal state space initially. Default: [`StateSpaceInit::Lin`].
    #[config(default = "StateSpaceInit::Lin")]
    pub init: StateSpaceInit,
    /// How it becomes a recurrence. Default: [`Discretisation::Bilinear`].
    #[config(default = "Discretisation::Bilinear")]
    pub discretisation: Discretisation,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl H3Config {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels, `d_state` is odd or 0, the shift sees no token, or the steps are not positive and in
    /// order.
    pub fn try_init(&self, device: &Device) -> Result<H3, ConfigError> {
        self.checked(|| {
            let (d_model, shift_size) = (self.d_model, self.shift_size);
            check_channels(Self::KIND, "d_model", d_model)?;
            check_numbers(Self::KIND, "the projection", &[d_model, d_model])?;
            ConfigError::unless(shift_size > 0, Self::KIND, || "shift_size is 0; give it at least 1".into())?;
            check_numbers(
                Self::KIND,
                &format!("shift_size = {shift_size}: the shift"),
                &[d_model, shift_size],
            )?;
            self.initializer.check(Self::KIND)?;
            let state_space = DiagonalStateSpaceConfig::new(d_model)
                .with_d_state(self.d_state)
                .with_dt_min(self.dt_min)
                .with_dt_max(self.dt_max)
                .with_init(self.init)
                .with_discretisation(self.discretisation)
                .try_init(Self::KIND, device)?;
            let input = || biased_projection(d_model, d_model, self.initializer, device);
            let skip = || Initializer::Normal { mean: 0.0, std: 1.0 }.init([d_model], device);
            let bound = (shift_size as f64).powf(-0.5);
            Ok(H3 {
                query: input(),
                key: input(),
                value: input(),
                shift: Initializer::Uniform { min: -bound, max: bound }.init([d_model, shift_size], device),
                shift_skip: skip(),
                state_space,
                skip: skip(),
                output: self.initializer.biased_output_projection(d_model, d_model, device),
            })
        })
    }
}

/// H3, "hungry hungry hippos": linear attention whose sums are state spaces.
///
/// ```text
/// s_t = d_k ⊙ k_t + Σ_{j<S} f_j ⊙ k_{t-j}
/// h_t = λ ⊙ h_{t-1} + s_t ⊙ v_t
/// y_t = W_o ( q_t ⊙ (Re(w · h_t) + d ⊙ s_t ⊙ v_t) ) + b_o
/// ```
///
/// Where
///
/// * `q`, `k`, `v` are projections of the input, with biases,
/// * the shift remembers the last `S = shift_size` keys and compares them by its learned taps `f`,
/// * `λ` and `w` are those of a [`DiagonalStateSpace`], which stores what the product lets through.
///
/// The published shift is a state space whose transition moves its state by one place and whose input and output are both
/// learned, the input from the first unit vector: all it can compute is this filter, which has the initialisation of the
/// output. Heads of one channel, as here, are the published default; there are no wider ones.
///
/// The state is `h`, `4·D·N` bytes per sequence, and the last keys, `4·(S - 1)·D`.
///
/// Source: Fu et al. 2022, <https://arxiv.org/abs/2212.14052> (sec. 3).
///
/// Should be created with [`H3Config`].
#[derive(Module, Debug)]
pub struct H3 {
    /// `D` to `D`.
    pub query: Linear,
    /// `D` to `D`.
    pub key: Linear,
    /// `D` to `D`.
    pub value: Linear,
    /// `f`, `[D, S]`; the first tap multiplies the current key.
    pub shift: Param<Tensor<2>>,
    /// `d_k`, `[D]`.
    pub shift_skip: Param<Tensor<1>>,
    /// Makes `λ` and `w`.
    pub state_space: DiagonalStateSpace,
    /// `d`, `[D]`.
    pub skip: Param<Tensor<1>>,
    /// `D` to `D`.
    pub output: Linear,
}

crate::state! {
    /// State of [`H3`].
    pub struct H3State of H3 {
        /// The last keys, oldest first, `[B, S - 1, D]`.
        pub keys: Tensor<3> as Convolution,
        /// The real part of `h`, `[B, D, N/2]`.
        pub re: Tensor<3> as Recurrent,
        /// The imaginary part of `h`, `[B, D, N/2]`.
        pub im: Tensor<3> as Recurrent,
    }
}

impl SequenceMixer for H3 {
    type State = H3State;

    fn d_model(&self) -> usize {
        self.query.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let dtype = accumulator(self.query.weight.val().dtype());
        let [channels, taps] = self.shift.val().dims();
        let [_, states] = self.state_space.dims();
        let Complex { re, im } = Complex::zeros([batch, channels, states], (device, dtype));
        H3State { keys: Tensor::zeros([batch, taps - 1, channels], (device, dtype)), re, im }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let [query, key, value] = project_all([&self.query, &self.key, &self.value], input.clone());
        let options = LongConvOptions {
            initial_state: Some(state.keys),
            skip: Some(self.shift_skip.val()),
            resets: resets.clone(),
            ..Default::default()
        };
        let (shifted, keys) = long_conv(key, self.shift.val(), options);
        let written = shifted * value;
        let (eigenvalues, weights) = self.state_space.discretised();
        let options = DiagonalSsmOptions {
            initial_state: Some(Complex::new(state.re, state.im)),
            resets,
            ..Default::default()
        };
        let (read, Complex { re, im }) = diagonal_ssm(written.clone(), eigenvalues, weights, options);
        let read = read + written * self.skip.val().unsqueeze();
        (project(&self.output, query * read), H3State { keys, re, im })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        diagonal_ssm_report(time, &DiagonalSsmOptions::default(), device)
    }
}
