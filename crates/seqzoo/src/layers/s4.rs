//! S4: a state space with HiPPO's memory per channel.

use crate::ops::{Complex, Form, Report, accumulator};
use crate::parts::{DplrStateSpace, DplrStateSpaceConfig, GluOutput, Hippo, ProjectionInit, RealTransform};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(S4, "s4", S4Config);

/// Configuration of [`S4`].
#[derive(Config, Debug)]
pub struct S4Config {
    /// Channels of input and output.
    pub d_model: usize,
    /// Numbers `N` in the state of a channel, even, at most 512: `N/2` complex numbers and their conjugates.
    /// Default: `64`.
    #[config(default = 64)]
    pub d_state: usize,
    /// The smallest step initially. Default: `0.001`.
    #[config(default = 1e-3)]
    pub dt_min: f64,
    /// The largest step initially. Default: `0.1`.
    #[config(default = 1e-1)]
    pub dt_max: f64,
    /// The HiPPO system that every channel begins with. Default: [`Hippo::LegS`].
    #[config(default = "Hippo::LegS")]
    pub measure: Hippo,
    /// What makes the decays of their parameters. Default: [`RealTransform::Exp`].
    #[config(default = "RealTransform::Exp")]
    pub real_transform: RealTransform,
    /// How the output projection is initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl S4Config {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels, `d_state` is odd, 0 or above 512, or the steps are not positive and in order.
    pub fn try_init(&self, device: &Device) -> Result<S4, ConfigError> {
        self.checked(|| {
            let space = DplrStateSpaceConfig {
                channels: self.d_model,
                d_state: self.d_state,
                dt_min: self.dt_min,
                dt_max: self.dt_max,
                measure: self.measure,
                real_transform: self.real_transform,
            };
            Ok(S4 {
                space: space.try_init(Self::KIND, device)?,
                output: GluOutput::try_init(Self::KIND, self.d_model, self.initializer, device)?,
            })
        })
    }
}

/// S4: every channel passes a linear state space that begins as a HiPPO system, the same for every token.
///
/// ```text
/// h_t = Ā h_{t-1} + B̄ x_t
/// s_t = 2 Re(C · h_t) + D x_t
/// y_t = a ⊙ σ(b)        [a, b] = W gelu(s_t) + c
/// ```
///
/// Where
///
/// * `Ā` and `B̄` come from a state space in continuous time, diagonal plus low rank, and a learned step, see
///   [`DplrStateSpace`],
/// * `D` is a number per channel.
///
/// The state is `h`, `4·D·N` bytes per sequence.
///
/// [`S4d`](super::S4d) without the low rank is as good in most uses, and faster.
///
/// Source: Gu et al. 2021, <https://arxiv.org/abs/2111.00396> (sec. 3).
///
/// Should be created with [`S4Config`].
#[derive(Module, Debug)]
pub struct S4 {
    /// The state space of every channel.
    pub space: DplrStateSpace,
    /// `D`, `W` and `c`.
    pub output: GluOutput,
}

crate::state! {
    /// State of [`S4`].
    pub struct S4State of S4 {
        /// The real part of `h`, `[B, D, N/2]`.
        pub real: Tensor<3> as Recurrent,
        /// The imaginary part of `h`, `[B, D, N/2]`.
        pub imaginary: Tensor<3> as Recurrent,
    }
}

impl SequenceMixer for S4 {
    type State = S4State;

    fn d_model(&self) -> usize {
        self.space.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let [channels, pairs] = self.space.dims();
        let dtype = accumulator(self.space.c.val().dtype());
        let Complex { re, im } = Complex::zeros([batch, channels, pairs], (device, dtype));
        S4State { real: re, imaginary: im }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let state = Complex::new(state.real, state.imaginary);
        let (read, Complex { re, im }) = self.space.forward(input.clone(), resets, state);
        (self.output.forward(read, input), S4State { real: re, imaginary: im })
    }

    fn report(&self, time: usize, _device: &Device) -> Report {
        match time {
            1 => Report::form(Form::Naive, "one token"),
            _ => Report::form(Form::Chunked { size: DplrStateSpace::CHUNK }, "plain tensor operations"),
        }
    }
}
