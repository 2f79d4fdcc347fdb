//! S4D: a diagonal state space per channel.

use crate::ops::diagonal_ssm::{DiagonalSsmOptions, diagonal_ssm, diagonal_ssm_report};
use crate::ops::{Complex, Report, accumulator};
use crate::parts::{
    DiagonalStateSpace, DiagonalStateSpaceConfig, Discretisation, GluOutput, ProjectionInit, RealTransform,
    StateSpaceInit,
};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(S4d, "s4d", S4dConfig);

/// Configuration of [`S4d`].
#[derive(Config, Debug)]
pub struct S4dConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Numbers `N` in the state of a channel, even: `N/2` complex numbers and their conjugates. Default: `64`.
    #[config(default = 64)]
    pub d_state: usize,
    /// The smallest step initially. Default: `0.001`.
    #[config(default = 1e-3)]
    pub dt_min: f64,
    /// The largest step initially. Default: `0.1`.
    #[config(default = 1e-1)]
    pub dt_max: f64,
    /// The eigenvalues initially. Default: [`StateSpaceInit::Lin`].
    #[config(default = "StateSpaceInit::Lin")]
    pub init: StateSpaceInit,
    /// How the state space becomes a recurrence. Default: [`Discretisation::ZeroOrderHold`].
    #[config(default = "Discretisation::ZeroOrderHold")]
    pub discretisation: Discretisation,
    /// What makes the decays of their parameters. Default: [`RealTransform::Exp`].
    #[config(default = "RealTransform::Exp")]
    pub real_transform: RealTransform,
    /// Whether `B` is learned, too. Default: `false`, it is one and left to `C`.
    #[config(default = false)]
    pub learn_b: bool,
    /// How the output projection is initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl S4dConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels, `d_state` is odd or 0, more than 512 with [`StateSpaceInit::LegS`], or the steps are not
    /// positive and in order.
    pub fn try_init(&self, device: &Device) -> Result<S4d, ConfigError> {
        self.checked(|| {
            let space = DiagonalStateSpaceConfig {
                channels: self.d_model,
                d_state: self.d_state,
                dt_min: self.dt_min,
                dt_max: self.dt_max,
                init: self.init,
                discretisation: self.discretisation,
                real_transform: self.real_transform,
                learn_b: self.learn_b,
            };
            Ok(S4d {
                space: space.try_init(Self::KIND, device)?,
                output: GluOutput::try_init(Self::KIND, self.d_model, self.initializer, device)?,
            })
        })
    }
}

/// S4D: every channel passes a linear state space with a diagonal transition, the same for every token.
///
/// ```text
/// h_t = λ ⊙ h_{t-1} + x_t
/// s_t = Re(w · h_t) + D x_t
/// y_t = a ⊙ σ(b)        [a, b] = W gelu(s_t) + c
/// ```
///
/// Where
///
/// * `λ` and `w`, complex numbers per channel, come from a state space in continuous time and a learned step, see
///   [`DiagonalStateSpace`],
/// * `D` is a number per channel.
///
/// The state is `h`, `4·D·N` bytes per sequence. (Other implementations keep `B̄ ⊙ h`.)
///
/// Source: Gu et al. 2022, <https://arxiv.org/abs/2206.11893> (sec. 3 to 4), in the form of the authors' minimal
/// implementation.
///
/// Should be created with [`S4dConfig`].
#[derive(Module, Debug)]
pub struct S4d {
    /// The state space of every channel.
    pub space: DiagonalStateSpace,
    /// `D`, `W` and `c`.
    pub output: GluOutput,
}

crate::state! {
    /// State of [`S4d`].
    pub struct S4dState of S4d {
        /// The real part of `h`, `[B, D, N/2]`.
        pub real: Tensor<3> as Recurrent,
        /// The imaginary part of `h`, `[B, D, N/2]`.
        pub imaginary: Tensor<3> as Recurrent,
    }
}

impl SequenceMixer for S4d {
    type State = S4dState;

    fn d_model(&self) -> usize {
        self.space.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let [channels, pairs] = self.space.dims();
        let dtype = accumulator(self.space.c.val().dtype());
        let Complex { re, im } = Complex::zeros([batch, channels, pairs], (device, dtype));
        S4dState { real: re, imaginary: im }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let (eigenvalues, weights) = self.space.discretised();
        let options = DiagonalSsmOptions {
            initial_state: Some(Complex::new(state.real, state.imaginary)),
            resets,
            ..Default::default()
        };
        let (read, Complex { re, im }) = diagonal_ssm(input.clone(), eigenvalues, weights, options);
        (self.output.forward(read, input), S4dState { real: re, imaginary: im })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        diagonal_ssm_report(time, &DiagonalSsmOptions::default(), device)
    }
}
